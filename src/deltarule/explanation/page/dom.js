// Elements by name, attributes and children. What comes from a story gets in as text only.

/** An element: attributes that are functions are listeners, null and false ones are left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A formula's MathML as an element; anything else in its place is left out. */
export function mathml(text) {
  const parsed = new DOMParser().parseFromString(text, "text/html").body.querySelectorAll(":scope > math");
  return [...parsed].map((math) => document.adoptNode(math));
}

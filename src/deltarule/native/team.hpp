// team.hpp: threads for the length of one call, and the barrier they meet at.
//
// They are made when a call begins and joined when it ends: nothing survives a fork, nothing leaks, and two callers
// never share a team. Made once for some tenths of a second of work, they cost some 20 us.
#pragma once

namespace deltarule {

// How many processors this process may use: the affinity mask, and the cgroup's quota rounded up.
int processors();

struct Barrier;
void barrier_wait(Barrier* barrier);  // until every thread of the team is here
double nanoseconds();                 // on a clock that never goes back

struct Member {  // of a team
  int id, size;
  Barrier* barrier;
};
using Job = void (*)(void* context, Member me);

// job(context, member) on every thread of a team, member 0 on the caller; a team of one where no more threads can be
// had. Meanwhile numbers below the smallest normal one count as 0 on every thread (the velocity of a dead unit decays
// into them, and each would cost a hundred cycles); the caller's setting is given back.
void team_run(int size, Job job, void* context);

// Whether Python wants the call to end (Ctrl-C). Member 0, the caller's own thread, asks it now and then.
extern bool (*interrupted)();

}  // namespace deltarule

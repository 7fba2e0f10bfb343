#pragma once
// What goes upstream: how fast records are taken in, and how fast a backlog leaves.

namespace wherry::bench {

void ingest();
void drain();

}  // namespace wherry::bench

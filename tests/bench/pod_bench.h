#pragma once
// Figures of documents with many Pods, and of the thinking about them.

namespace wherry::bench {

void fifty_pods();     // with nothing running to fifty
void docker_beside();  // fifty on the bridge network, beside `docker run -d`, where installed
void image_change();   // of every Pod of a document
void documents();      // parsing, and planning with nothing to do

}  // namespace wherry::bench

#pragma once
// The memory of this process.

namespace wherry {

// Once a start is over: gives back what only it needed. That is free heap, and program code of the
// executable and its libraries, which the kernel maps by large pieces of which little is run again.
// Code that is called later comes back from the page cache, or from the disk after memory was
// short. Callable from any thread at any time; best effort.
void release_unused_memory();

}  // namespace wherry

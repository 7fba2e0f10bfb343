#pragma once
// Who may read and change the files that matter. One opinion for those who use such a file and for
// `wherry check`, so that neither says that all is well where the other does not.

#include <optional>
#include <string>

namespace wherry {

struct FileFault {
  std::string path;     // of the file, or the directory it lies in
  std::string what;     // "belongs to …"
  std::string command;  // which mends it
  bool exposed = true;  // to others; false where it only is no file

  std::string text() const { return path + " " + what + ": " + command; }
};

// What is not there is in all of these somebody else's concern: whoever reads it says so.

// A secret: a file that nobody changes but its owner, who is root or the present user, and that
// nobody reads but these and its group.
std::optional<FileFault> private_file_fault(const std::string& path);
// The same, and not for its group either.
std::optional<FileFault> own_file_fault(const std::string& path);
// A file that nobody but root and the present user may change.
std::optional<FileFault> rule_file_fault(const std::string& path);
// A directory in which nobody else may put one file in the place of another.
std::optional<FileFault> rule_directory_fault(const std::string& path);

// In which it lies: "/a" of "/a/b", "." of "b".
std::string directory_of(const std::string& path);

}  // namespace wherry

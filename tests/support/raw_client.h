#pragma once
// An HTTP client that can send what no proper one would.

#include <memory>
#include <string>

namespace wherry::test {

struct Answer {
  int status = 0;
  std::string head;       // status line and headers
  std::string body;       // chunks put together
  bool complete = false;  // ended as its head said it would

  std::string header(const std::string& name) const;  // "" where missing
};

// One connection. Reads give up after kPatience.
class RawClient {
 public:
  static std::unique_ptr<RawClient> unix_socket(const std::string& path);
  // To 127.0.0.1, from `from`: an address of this machine, as all of 127.0.0.0/8 are.
  static std::unique_ptr<RawClient> tcp(int port, const std::string& from = "127.0.0.1");
  explicit RawClient(int fd) : fd_(fd) {}
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // False when the other side does not take it any more.
  bool send(const std::string& bytes) const;
  // Until `text` has come; false when the connection ended before.
  bool wait_for(const std::string& text);
  // To the end of the connection.
  Answer answer();
  void half_close() const;  // says that no more will be sent
  void close();
  int fd() const { return fd_; }

 private:
  bool receive_more();

  int fd_;
  std::string received_;
};

}  // namespace wherry::test

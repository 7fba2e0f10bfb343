#include "agent/api/http_body.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace wherry::http {
namespace {

constexpr size_t kReadSize = 64u << 10;
constexpr size_t kMaxLine = 1024;  // a chunk's size line with its extensions, or a trailer
constexpr int kMaxTrailers = 16;

}  // namespace

BodyReader::BodyReader(Socket& socket, const Timeouts& timeouts, const Request& request,
                       std::string early)
    : socket_(socket),
      timeouts_(timeouts),
      buffer_(std::move(early)),
      state_(request.chunked              ? State::ChunkSize
             : request.content_length > 0 ? State::Plain
                                          : State::End),
      left_(request.content_length),
      begin_(clock_.now()) {}

// Reads more into the empty buffer.
Status BodyReader::fill() {
  const Duration allowed =
      timeouts_.body + std::chrono::seconds(received_ / timeouts_.min_bytes_per_second);
  const Duration spent = clock_.now() - begin_;
  if (spent >= allowed) return fail(Code::DeadlineExceeded, "the request body comes too slowly");
  buffer_.resize(kReadSize);
  used_ = 0;
  const auto got =
      socket_.read(buffer_.data(), buffer_.size(), std::min(timeouts_.body, allowed - spent));
  buffer_.resize(got.value_or(0));
  if (!got) return fail(got.error());
  if (*got == 0) {
    return fail(Code::InvalidArgument, "the request body ends before the length it announced");
  }
  received_ += static_cast<int64_t>(*got);
  return {};
}

Result<std::string> BodyReader::line() {
  std::string text;
  while (true) {
    if (used_ == buffer_.size()) {
      if (Status filled = fill(); !filled) return fail(filled.error());
    }
    const char c = buffer_[used_++];
    if (c == '\n') break;
    text += c;
    if (text.size() > kMaxLine) return fail(Code::InvalidArgument, "a chunk's line is too long");
  }
  if (text.empty() || text.back() != '\r') {
    return fail(Code::InvalidArgument, "a chunk's line does not end in CRLF");
  }
  text.pop_back();
  if (has_control(text)) {
    return fail(Code::InvalidArgument, "a chunk's line holds a control character");
  }
  return text;
}

Status BodyReader::next_chunk() {
  if (state_ == State::ChunkEnd) {
    const auto empty = line();
    if (!empty) return fail(empty.error());
    if (!empty->empty()) return fail(Code::InvalidArgument, "a chunk is longer than its size");
    state_ = State::ChunkSize;
  }
  auto text = line();
  if (!text) return fail(text.error());
  // What follows the size is an extension, or nothing.
  const char* const end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, left_, 16);
  const char* rest = parsed.ptr;
  while (rest != end && (*rest == ' ' || *rest == '\t')) ++rest;
  if (parsed.ec != std::errc() || (rest != end && *rest != ';')) {
    return fail(Code::InvalidArgument, "a chunk's size is not a hexadecimal number");
  }
  if (left_ > 0) {
    state_ = State::ChunkData;
    return {};
  }
  state_ = State::Trailer;
  for (int i = 0; i < kMaxTrailers; ++i) {
    const auto trailer = line();
    if (!trailer) return fail(trailer.error());
    if (trailer->empty()) {
      state_ = State::End;
      return {};
    }
  }
  return fail(Code::InvalidArgument, "there are too many trailers");
}

Result<size_t> BodyReader::take(char* buffer, size_t size) {
  if (used_ == buffer_.size()) {
    if (Status filled = fill(); !filled) return fail(filled.error());
  }
  const size_t count =
      static_cast<size_t>(std::min<uint64_t>({size, buffer_.size() - used_, left_}));
  std::memcpy(buffer, buffer_.data() + used_, count);
  used_ += count;
  left_ -= count;
  if (left_ == 0) state_ = state_ == State::Plain ? State::End : State::ChunkEnd;
  return count;
}

Result<size_t> BodyReader::read(char* buffer, size_t size) {
  while (state_ == State::ChunkSize || state_ == State::ChunkEnd) {
    if (Status next = next_chunk(); !next) return fail(next.error());
  }
  if (state_ == State::End || size == 0) return size_t{0};
  if (state_ == State::Trailer) return fail(Code::InvalidArgument, "the request body is broken");
  return take(buffer, size);
}

}  // namespace wherry::http

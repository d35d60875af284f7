#include "room/operator/admin_server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <exception>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "common/log.h"
#include "room/operator/admin_protocol.h"

namespace tandem {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Local = asio::local::stream_protocol;

// A descriptor until somebody takes it over.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Descriptor new_socket() {
  return Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

unexpected<std::string> system_error(std::string_view what) {
  return unexpected(std::string(what) + ": " + ::strerror(errno));
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

int connect_to(int fd, const sockaddr_un& address) {
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// The path is free after this, or the error says what is there.
Result<void, std::string> clear_stale_socket(const std::string& path) {
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0)
    return errno == ENOENT ? Result<void, std::string>() : system_error("cannot look at it");
  if (!S_ISSOCK(file.st_mode))
    return unexpected(std::string("there is a file of another kind; it stays untouched"));
  const Descriptor probe = new_socket();
  if (connect_to(probe.get(), address_of(path)) == 0 || errno != ECONNREFUSED)
    return unexpected(std::string("another daemon listens there"));
  if (::unlink(path.c_str()) != 0) return system_error("cannot remove what a crash left");
  return {};
}

Result<int, std::string> listening_socket(const std::string& path) {
  Descriptor listener = new_socket();
  if (listener.get() < 0) return system_error("no socket");
  const sockaddr_un address = address_of(path);
  // bind() makes the file with the mode that the socket has by then, less the umask: so there is no
  // moment in which it is open to all. chmod() then gives what the umask took.
  if (::fchmod(listener.get(), 0660) != 0) return system_error("fchmod");
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return system_error("bind");
  if (::chmod(path.c_str(), 0660) != 0) return system_error("chmod");
  if (::listen(listener.get(), 16) != 0) return system_error("listen");
  return listener.release();
}

PeerVerdict judge(int fd, const std::string& path) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return PeerVerdict::refused;
  std::vector<gid_t> groups(64);
  socklen_t bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int outcome = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
  if (outcome != 0 && errno == ERANGE) {  // `bytes` is what it takes
    groups.resize(bytes / sizeof(gid_t));
    outcome = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
  }
  groups.resize(outcome == 0 ? bytes / sizeof(gid_t) : 0);
  struct stat file {};
  // Without the file there is no group to be in; -1 is nobody's.
  const gid_t group = ::stat(path.c_str(), &file) == 0 ? file.st_gid : static_cast<gid_t>(-1);
  return judge_peer({peer.uid, peer.gid, groups}, ::geteuid(), group);
}

class Connection;

}  // namespace

PeerVerdict judge_peer(const PeerIdentity& peer, uid_t daemon, gid_t socket_group) {
  const bool in_group =
      peer.gid == socket_group || std::ranges::find(peer.groups, socket_group) != peer.groups.end();
  return peer.uid == 0 || peer.uid == daemon || in_group ? PeerVerdict::admitted
                                                         : PeerVerdict::refused;
}

class AdminServer::Impl {
 public:
  Impl(asio::io_context& context, AdminLimits limits, Handler handler)
      : context_(context),
        limits_(limits),
        handler_(std::move(handler)),
        acceptor_(context),
        retry_(context) {}
  ~Impl() { remove_file(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void, std::string> listen(const std::string& path);

  const AdminLimits& limits() const { return limits_; }
  const Handler& handler() const { return handler_; }
  void forget(const std::shared_ptr<Connection>& connection) { connections_.erase(connection); }

 private:
  void accept();
  void accept_later();
  void admit(Local::socket socket);
  void remove_file();

  asio::io_context& context_;
  AdminLimits limits_;
  Handler handler_;
  Local::acceptor acceptor_;
  asio::steady_timer retry_;
  std::string path_;
  struct stat file_ {};
  // They are owned here alone while an answer is awaited, so that whoever holds the answer for long
  // does not hold the socket past its io_context.
  std::set<std::shared_ptr<Connection>> connections_;
};

namespace {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(AdminServer::Impl& server, asio::io_context& context, Local::socket socket)
      : server_(server), socket_(std::move(socket)), deadline_(context) {}

  void await_request() {
    start_deadline();
    asio::async_read_until(socket_, asio::dynamic_buffer(received_, kAdminRequestMax), '\n',
                           [self = shared_from_this()](error_code fault, std::size_t size) {
                             if (fault == asio::error::not_found) return self->refuse_long();
                             if (fault) return self->close();
                             self->handle(size);
                           });
  }

  // One line, then the end.
  void refuse(const AdminError& error) {
    last_ = true;
    start_deadline();
    send(encode_error(error));
  }

 private:
  void handle(std::size_t size) {
    deadline_.cancel();
    std::string line = received_.substr(0, size - 1);
    received_.erase(0, size);
    const auto answer = [weak = weak_from_this()](std::string text) {
      const auto self = weak.lock();
      if (!self) return;
      self->start_deadline();
      self->send(std::move(text));
    };
    try {
      server_.handler()(line, answer);
    } catch (const std::exception& thrown) {
      log(LogLevel::error, "admin", "request failed", {{"reason", thrown.what()}});
      close();
    }
  }

  void refuse_long() {
    refuse({AdminErrorCode::bad_request, "the request is longer than a request may be"});
  }

  void send(std::string answer) {
    answer_ = std::move(answer);
    answer_ += '\n';
    asio::async_write(socket_, asio::buffer(answer_),
                      [self = shared_from_this()](error_code fault, std::size_t) {
                        if (fault || self->last_) return self->close();
                        self->await_request();
                      });
  }

  void start_deadline() {
    deadline_.expires_after(std::chrono::nanoseconds(server_.limits().idle_deadline));
    deadline_.async_wait([weak = weak_from_this()](error_code fault) {
      const auto self = weak.lock();
      if (!fault && self) self->close();
    });
  }

  void close() {
    error_code ignored;
    socket_.close(ignored);
    deadline_.cancel();
    server_.forget(shared_from_this());
  }

  AdminServer::Impl& server_;
  Local::socket socket_;
  asio::steady_timer deadline_;
  std::string received_;
  std::string answer_;
  bool last_ = false;
};

}  // namespace

Result<void, std::string> AdminServer::Impl::listen(const std::string& path) {
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    return unexpected(std::string("a socket's path has at most 107 bytes"));
  std::error_code ignored;  // bind() says it better
  std::filesystem::create_directory(std::filesystem::path(path).parent_path(), ignored);
  if (auto cleared = clear_stale_socket(path); !cleared) return cleared;
  const auto listener = listening_socket(path);
  if (!listener) return unexpected(listener.error());
  path_ = path;
  ::lstat(path.c_str(), &file_);
  acceptor_.assign(Local(), *listener);
  accept();
  return {};
}

void AdminServer::Impl::accept() {
  acceptor_.async_accept([this](error_code fault, Local::socket socket) {
    if (fault == asio::error::operation_aborted) return;
    if (fault) return accept_later();
    admit(std::move(socket));
    accept();
  });
}

// Out of descriptors or memory: the connection stays in the backlog, and at once is too soon.
void AdminServer::Impl::accept_later() {
  retry_.expires_after(std::chrono::milliseconds(100));
  retry_.async_wait([this](error_code fault) {
    if (!fault) accept();
  });
}

void AdminServer::Impl::admit(Local::socket socket) {
  if (connections_.size() >= limits_.connections_max) return;
  const PeerVerdict verdict = judge(socket.native_handle(), path_);
  const auto connection = std::make_shared<Connection>(*this, context_, std::move(socket));
  connections_.insert(connection);
  switch (verdict) {
    case PeerVerdict::admitted:
      return connection->await_request();
    case PeerVerdict::refused:
      log(LogLevel::warn, "admin", "peer refused: not of the operator's group");
      return connection->refuse({AdminErrorCode::refused, "this is for the operator's group"});
  }
}

// Another daemon may have put its own there since.
void AdminServer::Impl::remove_file() {
  struct stat now {};
  if (path_.empty() || ::lstat(path_.c_str(), &now) != 0) return;
  if (now.st_dev == file_.st_dev && now.st_ino == file_.st_ino) ::unlink(path_.c_str());
}

AdminServer::AdminServer(asio::io_context& context, AdminLimits limits, Handler handler)
    : impl_(std::make_unique<Impl>(context, limits, std::move(handler))) {}
AdminServer::~AdminServer() = default;

Result<void, std::string> AdminServer::listen(const std::string& path) {
  return impl_->listen(path);
}

}  // namespace tandem

#pragma once
// How many transfers run at once: libcurl lets those wait that find no connection, but counts the
// wait as time to connect, so none is begun before there is room. Used by one thread.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

namespace taut::ai {

class HostLimits {
 public:
  HostLimits(int per_host, int total) : per_host_(per_host), total_(total) {}

  /// Whether one more may run now. It counts from then on; otherwise it waits.
  bool admit(const std::string& origin, uint64_t id) {
    if (has_room(hosts_[origin])) {
      count(hosts_[origin], 1);
      return true;
    }
    waiting_.emplace_back(origin, id);
    return false;
  }
  void leave(const std::string& origin) { count(hosts_[origin], -1); }
  void forget(uint64_t id) {
    std::erase_if(waiting_, [id](const auto& entry) { return entry.second == id; });
  }
  /// Its connections carry many requests at once, as HTTP/2 does.
  void set_multiplexed(const std::string& origin) {
    Host& host = hosts_[origin];
    if (host.is_multiplexed) return;
    host.is_multiplexed = true;
    active_ -= host.active;
  }
  /// The first who waits and may run now, counted; 0: nobody.
  uint64_t next() {
    for (auto entry = waiting_.begin(); entry != waiting_.end(); ++entry) {
      Host& host = hosts_[entry->first];
      if (!has_room(host)) continue;
      const uint64_t id = entry->second;
      count(host, 1);
      waiting_.erase(entry);
      return id;
    }
    return 0;
  }

 private:
  struct Host {
    int active = 0;
    bool is_multiplexed = false;
  };

  bool has_room(const Host& host) const {
    return host.is_multiplexed || (host.active < per_host_ && active_ < total_);
  }
  void count(Host& host, int more) {
    host.active += more;
    if (!host.is_multiplexed) active_ += more;
  }

  int per_host_, total_;
  int active_ = 0;  // on connections that carry one request at a time
  std::map<std::string, Host> hosts_;
  std::deque<std::pair<std::string, uint64_t>> waiting_;
};

}  // namespace taut::ai

// Owns what a person sees while a run goes on: a line an interval, as iperf3 has them, and short
// notes. Lines go to standard output, unless that belongs to JSON; notes of the moment go to a
// terminal alone.
#pragma once

#include <string>
#include <string_view>

#include "bench/load/report.h"

namespace tandem::bench {

class Progress {
 public:
  Progress(const std::string& mode, bool json);

  void tell(const Interval& interval);
  void note(const std::string& line);
  // The last note gives way to the report.
  void end();

 private:
  bool packets_;  // whether the mode counts them
  std::string_view unit_;
  bool json_;
  bool on_terminal_;  // standard error
  bool lasting_notes_;
  bool headed_ = false;
  bool noted_ = false;
};

}  // namespace tandem::bench

// One callable out of several, for std::visit over a variant of messages.
#pragma once

namespace tandem {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace tandem

#pragma once
// The command lines of the example programs.
//   const std::vector<std::string> words = parse_command_line(
//       "gpt", help, {.values = {{"--steps", into(steps)}}, .flags = {{"--amp", &amp}}}, argc,
//       argv);
// Both --steps 3 and --steps=3 are understood.

#include <taut/taut.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

// What sets a field from a word. @throws ValueError for a word that does not fit.
using Setter = taut::Callback<void(const std::string&)>;

template <class Number>
Number number_in(const std::string& text, const char* expected) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end || text.empty()) {
    throw taut::ValueError("got '" + text + "'; expected " + expected);
  }
  return number;
}

inline Setter into(int& field) {
  return [&field](const std::string& text) { field = number_in<int>(text, "a whole number"); };
}
inline Setter into(int64_t& field) {
  return [&field](const std::string& text) { field = number_in<int64_t>(text, "a whole number"); };
}
inline Setter into(uint64_t& field) {
  return [&field](const std::string& text) {
    field = number_in<uint64_t>(text, "a whole number that is not negative");
  };
}
inline Setter into(double& field) {
  return [&field](const std::string& text) { field = number_in<double>(text, "a number"); };
}
inline Setter into(std::string& field) {
  return [&field](const std::string& text) { field = text; };
}

// What the options of a program set, by their names.
struct OptionTable {
  std::map<std::string, Setter> values = {};  // the word behind the name
  std::map<std::string, Setter> lists = {};   // the words behind it, up to the next option
  std::map<std::string, bool*> flags = {};    // that it stands there
};

// Ends the program because of its command line.
[[noreturn]] inline void refuse_command_line(const char* program, const std::string& why) {
  std::fprintf(stderr, "%s: %s; %s --help tells the options\n", program, why.c_str(), program);
  std::exit(2);
}

// Sets what the command line tells, and gives the words that belong to no option. Ends the program
// after --help, and where something cannot be understood.
inline std::vector<std::string> parse_command_line(const char* program, const char* help,
                                                   const OptionTable& table, int argc,
                                                   char** argv) {
  const std::vector<std::string> given(argv + 1, argv + argc);
  std::vector<std::string> words;
  const auto is_option = [](const std::string& word) { return word.starts_with("--"); };
  for (size_t i = 0; i < given.size(); ++i) {
    const std::string name =
        given[i].substr(0, is_option(given[i]) ? given[i].find('=') : given[i].size());
    const bool has_value = name.size() < given[i].size();
    if (name == "--help" || name == "-h") {
      std::puts(help);
      std::exit(0);
    }
    try {
      if (const auto flag = table.flags.find(name); flag != table.flags.end() && !has_value) {
        *flag->second = true;
      } else if (const auto value = table.values.find(name); value != table.values.end()) {
        if (!has_value && i + 1 == given.size()) {
          refuse_command_line(program, name + " has no value");
        }
        value->second(has_value ? given[i].substr(name.size() + 1) : given[++i]);
      } else if (const auto list = table.lists.find(name); list != table.lists.end()) {
        if (has_value || i + 1 == given.size() || is_option(given[i + 1])) {
          refuse_command_line(program, name + " expects words behind it");
        }
        while (i + 1 < given.size() && !is_option(given[i + 1])) list->second(given[++i]);
      } else if (given[i].starts_with("-")) {
        refuse_command_line(program, "there is no option " + given[i]);
      } else {
        words.push_back(given[i]);
      }
    } catch (const taut::ValueError& error) {
      refuse_command_line(program, name + ": " + error.what());
    }
  }
  return words;
}

// The status of a program that does `work`: 1 with a message after an error.
inline int run_program(const char* program, const taut::Callback<void()>& work) {
  try {
    work();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 1;
  }
}

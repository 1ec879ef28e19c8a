#include "taut/ai/route_report.h"

#include <cmath>
#include <string_view>

#include "src/ai/json_form.h"

namespace taut::ai {
namespace {

constexpr std::string_view kOutcomes[] = {"left_out", "answered", "failed", "called_off"};
constexpr std::string_view kSentences[] = {"not asked", "answered", "failed", "called off"};

double milliseconds(double seconds) { return std::round(seconds * 1e3) / 1e3; }

form::Json form_of(const RouteStep& step) {
  form::Writer writer;
  writer.put("target", step.target)
      .put("model", step.model)
      .put("outcome", std::string(kOutcomes[static_cast<size_t>(step.outcome)]))
      .set("reason", step.reason);
  if (step.error) writer.put("error", std::string(name(*step.error)));
  return writer.set("started", step.started)
      .set("seconds", step.seconds)
      .set("cost", step.cost)
      .set("is_hedge", step.is_hedge)
      .set("is_probe", step.is_probe)
      .take();
}

}  // namespace

std::string to_json(const RouteReport& report) {
  return form::dump(
      form::Writer()
          .put("router", report.router)
          .set("task", report.task)
          .list("steps", report.steps, [](const RouteStep& step) { return form_of(step); })
          .set("answered_by", report.answered_by)
          .set("from_cache", report.from_cache)
          .set("is_degraded", report.is_degraded)
          .set("seconds", report.seconds)
          .set("cost", report.cost)
          .take());
}

std::string describe(const RouteReport& report) {
  std::string text = report.router;
  if (!report.task.empty()) append(text, concat(", task ", report.task));
  if (!report.answered_by.empty()) {
    append(text, concat(": answered by ", report.answered_by));
  } else if (report.from_cache) {
    append(text, ": answered from the cache");
  } else {
    append(text, report.is_degraded ? ": answered by the last resort" : ": no answer");
  }
  append(text, concat(" after ", milliseconds(report.seconds), " s"));
  if (report.cost) append(text, concat(", US$ ", *report.cost));
  for (const RouteStep& step : report.steps) {
    append(text, concat("\n  ", step.target, ": ", kSentences[static_cast<size_t>(step.outcome)]));
    if (step.is_hedge) append(text, " as a hedge");
    if (step.is_probe) append(text, " as a probe");
    if (step.outcome != RouteStep::Outcome::left_out) {
      append(text, concat(" after ", milliseconds(step.seconds), " s"));
    }
    if (step.cost) append(text, concat(", US$ ", *step.cost));
    if (!step.reason.empty()) append(text, concat(": ", step.reason));
  }
  return text + "\n";
}

}  // namespace taut::ai

// Trains GPT-2 from tokens or from text, goes on from a checkpoint, and writes.
//
//   gpt2 train --data tokens.bin                  # 16-bit tokens, as nanoGPT and llm.c write them
//   gpt2 train --data book.txt --vocabulary 8192  # any text: learns a byte-pair tokenizer first
//   gpt2 train --data tokens.bin --resume         # goes on where the checkpoint was written
//   gpt2 sample --prompt "Once upon a time"
//   gpt2 --help
//
// On a GPU weights are bfloat16 and the optimizer keeps them in float32; on the CPU everything is
// float32. The model is that of Radford et al., "Language Models are Unsupervised Multitask
// Learners" (2019). examples/python/gpt2.py is the same program in Python, its losses are the same,
// and each goes on from the other's checkpoint.

#include "gpt2.h"

#include <taut/taut.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint.h"
#include "command_line.h"
#include "tokens.h"
#include "training.h"

namespace nn = taut::nn;
namespace F = taut::nn::functional;
using taut::Tensor;
using taut::Tensors;

struct Options {
  std::string command;
  std::string checkpoint = "gpt2.safetensors";
  std::string device = taut::cuda::is_available() ? "cuda" : "cpu";
  uint64_t seed = 1;

  std::string data, size = "124M", dtype, losses;
  bool resume = false;
  int64_t layers = 0, width = 0, heads = 0, context = 1024, vocabulary = 50257;
  int64_t steps = 1000, stop = 0, batch = 16, accumulate = 1, warmup = 100, every = 250;
  double lr = 6e-4, clip = 1.0;

  std::string prompt = "\n";
  std::optional<std::vector<int64_t>> prompt_tokens;
  bool no_cache = false;
  int64_t length = 200, top_k = 50;
  double temperature = 0.8;
};

// ---- Batches ------------------------------------------------------------------------------------

// Pieces of the tokens; which ones follows from the seed and the step, so that nothing need be kept
// to go on.
class Batches {
 public:
  Batches(const Tokens& tokens, const Gpt2Shape& shape, uint64_t seed, taut::Device device)
      : tokens_(tokens),
        context_(shape.context),
        vocabulary_(shape.vocabulary),
        seed_(seed),
        device_(device) {
    const auto count = static_cast<int64_t>(tokens.size());
    const int64_t held_out = std::max(count / 20, context_ + 1);
    if (count < 2 * held_out) {
      throw taut::ValueError(
          taut::concat(count, " tokens are too few for a context of ", context_));
    }
    unseen_ = count - held_out;
  }

  struct Batch {
    Tensor inputs, targets;  // (count, context)
  };
  Batch take(bool is_unseen, int64_t step, int64_t count) const {
    const int64_t begin = is_unseen ? unseen_ : 0;
    const int64_t end = is_unseen ? static_cast<int64_t>(tokens_.size()) : unseen_;
    taut::Generator generator;
    generator.manual_seed(1'000'003 * seed_ + static_cast<uint64_t>(step));
    const Tensor firsts = taut::randint(0, end - begin - context_, {count},
                                        taut::TensorOptions(taut::kInt64), &generator);
    std::vector<int64_t> pieces;
    for (int64_t i = 0; i < count; ++i) {
      const uint16_t* first = tokens_.begin() + begin + firsts.data_ptr<int64_t>()[i];
      pieces.insert(pieces.end(), first, first + context_ + 1);
    }
    // The model has more rows than the vocabulary, so that it would take some of those.
    const int64_t largest = *std::max_element(pieces.begin(), pieces.end());
    if (largest >= vocabulary_) {
      throw taut::ValueError(taut::concat("the data has token ", largest,
                                          "; expected less than the vocabulary, ", vocabulary_));
    }
    const Tensor on_device = moved(taut::tensor(pieces).view({count, context_ + 1}), device_);
    return {on_device.narrow(1, 0, context_).contiguous(),
            on_device.narrow(1, 1, context_).contiguous()};
  }

 private:
  const Tokens& tokens_;
  int64_t context_, vocabulary_;
  uint64_t seed_;
  taut::Device device_;
  int64_t unseen_ = 0;  // where the tokens begin that are not trained on
};

// ---- Checkpoints --------------------------------------------------------------------------------

void save(const std::string& path, const Gpt2& model, const taut::optim::Optimizer& optimizer,
          int64_t step, const Tokenizer* tokenizer) {
  taut::StateDict tensors = training_state(model, optimizer);
  if (tokenizer != nullptr) tensors.insert("tokenizer", tokenizer->model());
  const Gpt2Shape& s = model.shape;
  taut::save(tensors, path,
             {{"step", std::to_string(step)},
              {"shape", taut::concat(s.layers, " ", s.width, " ", s.heads, " ", s.context, " ",
                                     s.vocabulary)},
              {"dtype", taut::concat(model.norm->weight.dtype())}});
}

// What save() wrote.
struct Gpt2Checkpoint : Checkpoint {
  explicit Gpt2Checkpoint(const std::string& path)
      : Checkpoint(path, "GPT-2"), step(number("step")) {
    std::istringstream numbers(word("shape"));
    numbers >> shape.layers >> shape.width >> shape.heads >> shape.context >> shape.vocabulary;
    const auto sizes = {shape.layers, shape.width, shape.heads, shape.context, shape.vocabulary};
    if (!numbers || std::min(sizes) < 1) refuse("shape is " + word("shape"));
    const std::string& name = word("dtype");
    if (name != "bfloat16" && name != "float32") refuse("dtype is " + name);
    dtype = name == "bfloat16" ? taut::kBFloat16 : taut::kFloat32;
    if (const Tensor* model = tensors().find("tokenizer")) tokenizer.emplace(*model);
  }

  std::shared_ptr<Gpt2> model(taut::Device device) const {
    auto result = std::make_shared<Gpt2>(shape);
    result->to(device);
    result->to(dtype);
    result->load_state_dict(part("model."));
    return result;
  }

  int64_t step;
  Gpt2Shape shape{};
  taut::DType dtype;
  std::optional<Tokenizer> tokenizer;
};

// ---- Training -----------------------------------------------------------------------------------

// Matrices decay, biases and norms do not.
taut::optim::AdamW make_optimizer(const Gpt2& model) {
  taut::optim::ParamGroup matrices{{}, {{"weight_decay", 0.1}}},
      others{{}, {{"weight_decay", 0.0}}};
  for (const Tensor& parameter : model.parameters()) {
    (parameter.dim() > 1 ? matrices : others).params.push_back(parameter);
  }
  return taut::optim::AdamW({matrices, others}, {.betas = {0.9, 0.95}, .master_weights = true});
}

Tensor loss_of(Gpt2& model, const Batches::Batch& batch) {
  // 16-bit logits, a float32 loss.
  const taut::AutocastMode autocast(batch.inputs.device().type(), taut::kBFloat16);
  const auto logits = [&] {
    const taut::AutocastMode off(batch.inputs.device().type(), taut::kBFloat16, false);
    return model.run(batch.inputs).flatten(0, 1);
  };
  return F::cross_entropy(logits(), batch.targets.flatten());
}

// One step; its loss, still on the device.
Tensor train_step(Gpt2& model, taut::optim::Optimizer& optimizer, const Batches& batches,
                  int64_t step, const Options& o) {
  Tensor total;
  for (int64_t part = 0; part < o.accumulate; ++part) {
    const auto batch = batches.take(false, step * o.accumulate + part, o.batch);
    const Tensor loss = loss_of(model, batch) / static_cast<double>(o.accumulate);
    loss.backward();
    total = total.defined() ? total + loss.detach() : loss.detach();
  }
  nn::utils::clip_grad_norm_(model.parameters(), o.clip);
  set_learning_rate(optimizer, learning_rate(step, o.warmup, o.steps, o.lr, /*last=*/0.1));
  optimizer.step();
  optimizer.zero_grad();
  return total;
}

double unseen_loss(Gpt2& model, const Batches& batches, const Options& o) {
  constexpr int kBatches = 4;
  const taut::NoGradGuard no_grad;
  double sum = 0;
  for (int i = 0; i < kBatches; ++i) {
    sum += loss_of(model, batches.take(true, i, o.batch)).item<double>();
  }
  return sum / kBatches;
}

// The share of the GPU's peak that `speed` tokens a second are, in words; nothing where the peak is
// not known.
std::string use_of_peak(double speed, const Gpt2& model, taut::Device device) {
  if (!device.is_cuda()) return "";
  const std::string name = taut::cuda::device_properties(device).name;
  // FLOP/s of dense products in bfloat16.
  for (const auto& [part, peak] :
       {std::pair("H100", 989e12), std::pair("H200", 989e12), std::pair("A100", 312e12)}) {
    if (name.find(part) == std::string::npos) continue;
    char text[32];
    std::snprintf(text, sizeof text, "  %4.1f %% of the peak",
                  100 * speed * model.flops_per_token() / peak);
    return text;
  }
  return "";
}

// The progress on one line.
class Progress {
 public:
  Progress(int64_t first, const Options& options, const Gpt2& model, taut::Device device)
      : first_(first), options_(options), model_(model), device_(device) {}

  void add(int64_t step, const Tensor& loss) {
    losses_.add(loss);
    const int64_t done = step + 1;
    if (done % 10 != 0 && done < options_.stop) return;
    losses_.read();
    const int64_t tokens =
        (done - first_) * options_.accumulate * options_.batch * model_.shape.context;
    const double speed = static_cast<double>(tokens) / watch_.seconds();
    std::printf("\rstep %5lld/%lld [%s] loss %.4f  %8.0f tokens/s%s", static_cast<long long>(done),
                static_cast<long long>(options_.steps), bar(done, options_.steps).c_str(),
                losses_.values().back(), speed, use_of_peak(speed, model_, device_).c_str());
    std::fflush(stdout);
  }
  const Losses& losses() const { return losses_; }

 private:
  int64_t first_;
  const Options& options_;
  const Gpt2& model_;
  taut::Device device_;
  Stopwatch watch_;
  Losses losses_;
};

Gpt2Shape shape_of(const Options& o, int64_t vocabulary) {
  const std::map<std::string, Gpt2Shape> sizes = {{"124M", {12, 768, 12, 0, 0}},
                                                  {"350M", {24, 1024, 16, 0, 0}},
                                                  {"774M", {36, 1280, 20, 0, 0}},
                                                  {"1558M", {48, 1600, 25, 0, 0}}};
  const auto found = sizes.find(o.size);
  if (found == sizes.end()) {
    throw taut::ValueError("--size is " + o.size + "; expected 124M, 350M, 774M or 1558M");
  }
  const Gpt2Shape& size = found->second;
  return {o.layers > 0 ? o.layers : size.layers, o.width > 0 ? o.width : size.width,
          o.heads > 0 ? o.heads : size.heads, o.context, vocabulary};
}

std::shared_ptr<Gpt2> new_model(const Options& o, const Tokenizer* tokenizer, taut::Device device) {
  auto model =
      std::make_shared<Gpt2>(shape_of(o, tokenizer == nullptr ? o.vocabulary : tokenizer->size()));
  const bool is_half = o.dtype.empty() ? device.is_cuda() : o.dtype == "bfloat16";
  model->to(device);
  model->to(is_half ? taut::kBFloat16 : taut::kFloat32);
  return model;
}

void train(Options o, taut::Device device) {
  taut::manual_seed(o.seed);
  check_losses_file(o.losses);
  o.stop = std::min(o.stop > 0 ? o.stop : o.steps, o.steps);
  std::optional<Gpt2Checkpoint> checkpoint;
  std::optional<Tokenizer> tokenizer;
  if (o.resume) {
    checkpoint.emplace(o.checkpoint);
    tokenizer = checkpoint->tokenizer;
  }
  const Tokens tokens = read_tokens(o.data, o.vocabulary, tokenizer);
  const Tokenizer* known = tokenizer ? &*tokenizer : nullptr;
  const auto model = checkpoint ? checkpoint->model(device) : new_model(o, known, device);
  taut::optim::AdamW optimizer = make_optimizer(*model);
  if (checkpoint) checkpoint->load_optimizer(optimizer, {{"step", checkpoint->step}});
  const int64_t first = checkpoint ? checkpoint->step : 0;
  const Batches batches(tokens, model->shape, o.seed, device);
  std::printf("%zu tokens; %lld weights in taut.%s on %s\n", tokens.size(),
              static_cast<long long>(count_weights(*model)),
              taut::concat(model->norm->weight.dtype()).c_str(), taut::concat(device).c_str());

  Progress progress(first, o, *model, device);
  for (int64_t step = first; step < o.stop; ++step) {
    progress.add(step, train_step(*model, optimizer, batches, step, o));
    if ((step + 1) % o.every == 0 || step + 1 == o.stop) {
      std::printf("  unseen %.4f\n", unseen_loss(*model, batches, o));
      save(o.checkpoint, *model, optimizer, step + 1, known);
    }
  }
  std::printf("model: %s; go on with --resume, or let it write: gpt2 --checkpoint %s sample\n",
              o.checkpoint.c_str(), o.checkpoint.c_str());
  if (!o.losses.empty()) progress.losses().write(o.losses);
}

// ---- Writing ------------------------------------------------------------------------------------

// The next token from the logits of one place.
int64_t draw(const Tensor& logits, const Options& o, taut::Generator& generator) {
  if (o.temperature == 0) return logits.argmax().item<int64_t>();
  const auto [values, indices] = taut::topk(logits, std::min(o.top_k, logits.numel()));
  const Tensor shares = taut::softmax(values / o.temperature, -1);
  const Tensor place = taut::multinomial(shares, 1, false, &generator);
  return taut::index_select(indices, 0, place).item<int64_t>();
}

void sample(const Options& o, taut::Device device) {
  const taut::NoGradGuard no_grad;
  const Gpt2Checkpoint checkpoint(o.checkpoint);
  const auto model = checkpoint.model(device);
  model->eval();
  if (!o.prompt_tokens && !checkpoint.tokenizer) {
    throw taut::ValueError(
        "the model was trained on tokens: begin with --prompt-tokens, as in --prompt-tokens 1 2 3");
  }
  std::vector<int64_t> tokens =
      o.prompt_tokens ? *o.prompt_tokens : checkpoint.tokenizer->encode(o.prompt);
  const auto last = [&](int64_t count) {
    const auto kept = std::min(static_cast<std::ptrdiff_t>(count), std::ssize(tokens));
    const std::vector<int64_t> part(tokens.end() - kept, tokens.end());
    return taut::tensor(part).unsqueeze(0).to(device);
  };
  taut::Generator generator;
  generator.manual_seed(o.seed);
  std::optional<Gpt2Cache> cache;
  int64_t unread = 0;
  for (int64_t i = 0; i < o.length; ++i) {
    if (!cache || cache->length == model->shape.context) {
      // Where the context is full, go on with the half of it that was written last.
      cache.emplace(model->shape, 1, model->norm->weight.detach());
      unread = model->shape.context / 2;
    }
    Tensor logits = model->run(last(unread), &*cache);
    if (o.no_cache) logits = model->run(last(cache->length));
    const Tensor place =
        logits.select(0, 0).select(0, -1).narrow(0, 0, model->shape.vocabulary).to(taut::kFloat32);
    tokens.push_back(draw(place.to(taut::kCPU), o, generator));
    unread = 1;
  }
  if (checkpoint.tokenizer) {
    std::puts(checkpoint.tokenizer->decode(tokens).c_str());
    return;
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::printf(i == 0 ? "%lld" : " %lld", static_cast<long long>(tokens[i]));
  }
  std::puts("");
}

// ---- The command line ---------------------------------------------------------------------------

constexpr const char* kHelp =
    "usage: gpt2 [options] train|sample [options]\n"
    "  --checkpoint FILE   where the model is kept (gpt2.safetensors)\n"
    "  --device NAME       cpu, cuda, cuda:1\n"
    "  --seed N            seed of weights, batches and writing (1)\n"
    "train\n"
    "  --data FILE         a .bin of 16-bit tokens, or any text\n"
    "  --resume            go on from the checkpoint\n"
    "  --size NAME         124M, 350M, 774M or 1558M (124M)\n"
    "  --layers N, --width N, --heads N   instead of the size's\n"
    "  --context N         tokens that the model sees (1024)\n"
    "  --vocabulary N      tokens that there are, or are learned from a text (50257)\n"
    "  --dtype NAME        of weights, float32 or bfloat16 (bfloat16 on GPUs)\n"
    "  --steps N           steps in all (1000)\n"
    "  --stop N            end here, with a checkpoint, as if more were to come\n"
    "  --batch N           sequences that are computed together (16)\n"
    "  --accumulate N      such batches to a step (1)\n"
    "  --lr X, --warmup N  highest learning rate, and steps until it is there (0.0006, 100)\n"
    "  --clip X            largest norm of the gradients (1)\n"
    "  --every N           steps between checkpoints and looks at unseen tokens (250)\n"
    "  --losses FILE       where the loss of every step goes, one in a line\n"
    "sample\n"
    "  --prompt TEXT, --prompt-tokens N ...   how to begin\n"
    "  --length N          tokens to write (200)\n"
    "  --temperature X     how daring; 0: always the likeliest token (0.8)\n"
    "  --top-k N           how many of the likeliest tokens to draw from (50)\n"
    "  --no-cache          compute all keys and values anew for each token";

Options parse(int argc, char** argv) {
  Options o;
  const Setter add_token = [&](const std::string& text) {
    if (!o.prompt_tokens) o.prompt_tokens.emplace();
    o.prompt_tokens->push_back(number_in<int64_t>(text, "the number of a token"));
  };
  const OptionTable table = {.values = {{"--checkpoint", into(o.checkpoint)},
                                        {"--device", into(o.device)},
                                        {"--seed", into(o.seed)},
                                        {"--data", into(o.data)},
                                        {"--size", into(o.size)},
                                        {"--dtype", into(o.dtype)},
                                        {"--losses", into(o.losses)},
                                        {"--layers", into(o.layers)},
                                        {"--width", into(o.width)},
                                        {"--heads", into(o.heads)},
                                        {"--context", into(o.context)},
                                        {"--vocabulary", into(o.vocabulary)},
                                        {"--steps", into(o.steps)},
                                        {"--stop", into(o.stop)},
                                        {"--batch", into(o.batch)},
                                        {"--accumulate", into(o.accumulate)},
                                        {"--warmup", into(o.warmup)},
                                        {"--every", into(o.every)},
                                        {"--lr", into(o.lr)},
                                        {"--clip", into(o.clip)},
                                        {"--prompt", into(o.prompt)},
                                        {"--length", into(o.length)},
                                        {"--top-k", into(o.top_k)},
                                        {"--temperature", into(o.temperature)}},
                             .lists = {{"--prompt-tokens", add_token}},
                             .flags = {{"--resume", &o.resume}, {"--no-cache", &o.no_cache}}};
  const std::vector<std::string> words = parse_command_line("gpt2", kHelp, table, argc, argv);
  const auto check = [](bool is_right, const std::string& why) {
    if (!is_right) refuse_command_line("gpt2", why);
  };
  check(words.size() == 1 && (words[0] == "train" || words[0] == "sample"),
        "expected the command train or sample");
  o.command = words[0];
  check(o.command != "train" || !o.data.empty(), "train needs --data");
  check(o.dtype.empty() || o.dtype == "float32" || o.dtype == "bfloat16",
        "--dtype is " + o.dtype + "; expected float32 or bfloat16");
  return o;
}

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  return run_program("gpt2", [&] {
    const taut::Device device(options.device);
    options.command == "train" ? train(options, device) : sample(options, device);
  });
}

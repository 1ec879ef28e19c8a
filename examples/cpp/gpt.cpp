// Trains a small transformer to write text, character by character, and lets it write.
//
//   gpt                              # the poems that come with the examples
//   gpt --text book.txt --steps 2000
//   gpt --device cuda --amp          # on a GPU, products in bfloat16
//   gpt --help
//
// examples/python/gpt.py is the same program in Python, and its losses are the same.

#include <taut/taut.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "command_line.h"
#include "training.h"

namespace nn = taut::nn;
namespace F = taut::nn::functional;
using taut::Tensor;

struct Options {
  std::string text;
  std::string save = "gpt.safetensors";
  std::string prompt = "\n";
  std::string losses;
  std::string device = "cpu";
  bool amp = false;
  int64_t steps = 300, batch = 16, context = 128, layers = 4, width = 128, heads = 4, sample = 400;
  double lr = 1e-3, temperature = 0.8;
  uint64_t seed = 1;
};

// Blocks of attention and a two-layer perceptron, each on top of a residual stream. Radford et al.,
// 2019.
struct Gpt : nn::Module {
  Gpt(int64_t characters, const Options& o)
      : token(register_module<nn::Embedding>("token", characters, o.width)),
        position(register_module<nn::Embedding>("position", o.context, o.width)) {
    const nn::TransformerEncoderLayer block(o.width, o.heads,
                                            {.dim_feedforward = 4 * o.width,
                                             .dropout = 0.0,
                                             .activation = "gelu_tanh",
                                             .batch_first = true,
                                             .norm_first = true});
    blocks = register_module<nn::TransformerEncoder>("blocks", block, o.layers,
                                                     std::make_shared<nn::LayerNorm>(o.width));
    head = register_module<nn::Linear>("head", o.width, characters, false);
    for (const auto& [name, parameter] : named_parameters()) {
      if (parameter.dim() > 1) {
        nn::init::normal_(parameter, 0.0, 0.02);
      } else if (name.ends_with("bias")) {
        nn::init::zeros_(parameter);
      }
    }
  }

  // Characters (batch, length) to logits (batch, length, characters).
  Tensor forward(const Tensor& x) override {
    const Tensor places =
        taut::arange(x.size(1), taut::TensorOptions(taut::kInt64).device(x.device()));
    const Tensor embedded = (*token)(x) + (*position)(places);
    return (*head)(blocks->forward(embedded, {}, {}, /*is_causal=*/true));
  }

  std::shared_ptr<nn::Embedding> token, position;
  std::shared_ptr<nn::TransformerEncoder> blocks;
  std::shared_ptr<nn::Linear> head;
};

constexpr const char* kHelp =
    "usage: gpt [options]\n"
    "  --text FILE      what to learn from (examples/data/poems.txt)\n"
    "  --steps N        batches to train on (300)\n"
    "  --batch N        pieces of text in a batch (16)\n"
    "  --context N      characters that the model sees (128)\n"
    "  --layers N, --width N, --heads N   the size of the model (4, 128, 4)\n"
    "  --lr X           highest learning rate (0.001)\n"
    "  --sample N       characters to write at the end (400)\n"
    "  --temperature X  how daring (0.8)\n"
    "  --prompt TEXT    how to begin\n"
    "  --seed N         seed of weights, batches and writing (1)\n"
    "  --device NAME    where to compute: cpu, cuda, cuda:1 (cpu)\n"
    "  --amp            products in bfloat16\n"
    "  --save FILE      where the weights go (gpt.safetensors)\n"
    "  --losses FILE    where the loss of every batch goes, one in a line";

Options parse(int argc, char** argv) {
  Options o;
  const OptionTable table = {.values = {{"--text", into(o.text)},
                                        {"--save", into(o.save)},
                                        {"--prompt", into(o.prompt)},
                                        {"--losses", into(o.losses)},
                                        {"--device", into(o.device)},
                                        {"--steps", into(o.steps)},
                                        {"--batch", into(o.batch)},
                                        {"--context", into(o.context)},
                                        {"--layers", into(o.layers)},
                                        {"--width", into(o.width)},
                                        {"--heads", into(o.heads)},
                                        {"--sample", into(o.sample)},
                                        {"--lr", into(o.lr)},
                                        {"--temperature", into(o.temperature)},
                                        {"--seed", into(o.seed)}},
                             .flags = {{"--amp", &o.amp}}};
  const auto words = parse_command_line("gpt", kHelp, table, argc, argv);
  if (!words.empty()) refuse_command_line("gpt", "there is no command " + words[0]);
  return o;
}

std::string read_text(std::string path) {
  for (const char* folder :
       {"examples/data", "../examples/data", "../../examples/data", "../../../examples/data"}) {
    if (path.empty() && std::filesystem::exists(std::string(folder) + "/poems.txt"))
      path = std::string(folder) + "/poems.txt";
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw taut::IoError("cannot open the text " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void run(const Options& o) {
  const taut::Device device(o.device);
  const auto integers = taut::TensorOptions(taut::kInt64).device(device);
  taut::manual_seed(o.seed);
  check_losses_file(o.losses);
  const std::string text = read_text(o.text);
  if (static_cast<int64_t>(text.size()) <= o.context + 1)
    throw taut::ValueError("the text is shorter than the context");
  std::string alphabet = text;
  std::sort(alphabet.begin(), alphabet.end());
  alphabet.erase(std::unique(alphabet.begin(), alphabet.end()), alphabet.end());
  std::vector<int64_t> numbers;
  for (char c : text) numbers.push_back(static_cast<int64_t>(alphabet.find(c)));
  const Tensor data = taut::tensor(numbers).to(device);

  Gpt model(static_cast<int64_t>(alphabet.size()), o);
  model.to(device);
  std::printf("%zu characters of %zu kinds; %lld weights\n", text.size(), alphabet.size(),
              static_cast<long long>(count_weights(model)));

  taut::optim::AdamW optimizer(model.parameters(),
                               {.lr = o.lr, .betas = {0.9, 0.95}, .weight_decay = 0.1});
  taut::optim::LambdaLR schedule(optimizer, [&](int64_t step) {
    const double warm = std::min(1.0, static_cast<double>(step + 1) / 50.0);
    return warm * (0.55 + 0.45 * std::cos(3.14159265 * static_cast<double>(step) /
                                          static_cast<double>(o.steps)));
  });
  Losses losses;
  const Stopwatch watch;
  for (int64_t step = 0; step < o.steps; ++step) {
    const Tensor firsts = taut::randint(0, data.numel() - o.context, {o.batch, 1}, integers);
    const Tensor places = firsts + taut::arange(o.context, integers);
    const Tensor input = taut::take(data, places), target = taut::take(data, places + 1);
    Tensor loss;
    {
      const taut::AutocastMode autocast(device.type(), taut::kBFloat16, o.amp);
      loss = F::cross_entropy(model(input).flatten(0, 1), target.flatten());
    }
    optimizer.zero_grad();
    loss.backward();
    nn::utils::clip_grad_norm_(model.parameters(), 1.0);
    optimizer.step();
    schedule.step();
    losses.add(loss);
    if (step % 20 == 0 || step + 1 == o.steps) {
      losses.read();
      std::printf("step %4lld  loss %.3f  %6.0f characters/s\n", static_cast<long long>(step),
                  losses.values().back(),
                  static_cast<double>((step + 1) * o.batch * o.context) / watch.seconds());
      std::fflush(stdout);
    }
  }
  if (!o.losses.empty()) losses.write(o.losses);
  taut::save(model, o.save, {{"alphabet", std::to_string(alphabet.size())}});

  const taut::NoGradGuard no_grad;
  model.eval();
  std::vector<int64_t> written;
  for (char c : o.prompt)
    written.push_back(std::max<int64_t>(static_cast<int64_t>(alphabet.find(c)), 0) %
                      static_cast<int64_t>(alphabet.size()));
  std::printf("\n%s", o.prompt.c_str());
  for (int64_t i = 0; i < o.sample; ++i) {
    const size_t seen = std::min(written.size(), static_cast<size_t>(o.context));
    const Tensor input = taut::tensor(
        std::vector<int64_t>(written.end() - static_cast<std::ptrdiff_t>(seen), written.end()));
    const Tensor logits =
        model(input.unsqueeze(0).to(device)).to(taut::kCPU).select(1, -1).flatten() / o.temperature;
    // The largest of logits plus Gumbel noise is a draw from their softmax.
    const Tensor noise =
        taut::neg(taut::log(taut::neg(taut::log(taut::rand(logits.shape()) + 1e-9)) + 1e-9));
    written.push_back((logits + noise).argmax().item<int64_t>());
    std::putchar(alphabet[static_cast<size_t>(written.back())]);
    std::fflush(stdout);
  }
  std::puts("");
}

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  return run_program("gpt", [&] { run(options); });
}

// Trains a small convolutional network to read handwritten digits, or to tell clothes apart.
//
//   digits                                     # 1,797 digits of 8 x 8 pixels, in seconds
//   digits --idx FOLDER                        # 70,000 pictures of 28 x 28 pixels, in minutes
//   digits --device cuda --amp                 # on a GPU, products in bfloat16
//   digits --help
//
// examples/python/digits.py is the same program in Python, and its losses are the same.

#include <taut/taut.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "command_line.h"
#include "picture.h"
#include "training.h"

namespace nn = taut::nn;
using taut::Tensor;
using taut::Tensors;

struct Options {
  std::string data;  // the CSV file of the digits
  std::string idx;   // a folder with the four IDX files of MNIST or Fashion-MNIST
  std::string save = "digits.safetensors";
  std::string picture = "digits.png";
  std::string losses;
  std::string device = "cpu";
  bool amp = false;
  int64_t epochs = 0;  // 30 for the digits, 12 for IDX files
  int64_t batch = 0;   // 32 and 128
  double lr = 0;       // 0.004 and 0.002
  uint64_t seed = 1;
  int workers = 1;
  int threads = 0;  // as many as there are cores
};

constexpr const char* kHelp =
    "usage: digits [options]\n"
    "  --data FILE     CSV file (may be gzipped) of pixels and a label in each line\n"
    "  --idx FOLDER    train on the IDX files of MNIST or Fashion-MNIST instead\n"
    "  --epochs N      how often to go through the training set (30; 12 for IDX files)\n"
    "  --batch N       pictures in a batch (32; 128 for IDX files)\n"
    "  --lr X          the highest learning rate of the one-cycle schedule (0.004; 0.002)\n"
    "  --seed N        seed of the split, the weights, the order and the augmentation (1)\n"
    "  --workers N     threads that prepare batches (1)\n"
    "  --threads N     threads that compute (all cores)\n"
    "  --device NAME   where to compute: cpu, cuda, cuda:1 (cpu)\n"
    "  --amp           products and convolutions in bfloat16\n"
    "  --save FILE     where the trained weights go (digits.safetensors)\n"
    "  --picture FILE  where curves and worst mistakes are drawn (digits.png)\n"
    "  --losses FILE   where the loss of every batch goes, one in a line";

Options parse(int argc, char** argv) {
  Options options;
  const OptionTable table = {.values = {{"--data", into(options.data)},
                                        {"--idx", into(options.idx)},
                                        {"--save", into(options.save)},
                                        {"--picture", into(options.picture)},
                                        {"--losses", into(options.losses)},
                                        {"--device", into(options.device)},
                                        {"--epochs", into(options.epochs)},
                                        {"--batch", into(options.batch)},
                                        {"--lr", into(options.lr)},
                                        {"--seed", into(options.seed)},
                                        {"--workers", into(options.workers)},
                                        {"--threads", into(options.threads)}},
                             .flags = {{"--amp", &options.amp}}};
  const auto words = parse_command_line("digits", kHelp, table, argc, argv);
  if (!words.empty()) refuse_command_line("digits", "there is no command " + words[0]);
  const bool is_idx = !options.idx.empty();
  if (options.epochs == 0) options.epochs = is_idx ? 12 : 30;
  if (options.batch == 0) options.batch = is_idx ? 128 : 32;
  if (options.lr == 0) options.lr = is_idx ? 2e-3 : 4e-3;
  return options;
}

// Pictures (n, 1, height, width) in 0..1 and labels (n).
struct Split {
  Tensor pictures;
  Tensor labels;
};

std::string find_digits() {
  for (const char* folder :
       {"examples/data", "../examples/data", "../../examples/data", "../../../examples/data"}) {
    std::string path = std::string(folder) + "/optdigits.csv.gz";
    if (std::filesystem::exists(path)) return path;
  }
  return "examples/data/optdigits.csv.gz";
}

std::pair<Split, Split> load_data(const Options& options, taut::Generator& generator) {
  if (!options.idx.empty()) {
    const auto read = [&](const std::string& stem) {
      const std::string path = options.idx + "/" + stem;
      return taut::io::load_idx(std::filesystem::exists(path) ? path : path + ".gz");
    };
    const auto split = [&](const std::string& stem) {
      return Split{read(stem + "-images-idx3-ubyte").unsqueeze(1).to(taut::kFloat32) / 255,
                   read(stem + "-labels-idx1-ubyte").to(taut::kInt64)};
    };
    return {split("train"), split("t10k")};
  }
  const Tensor table = taut::io::load_csv(options.data.empty() ? find_digits() : options.data);
  const Tensor pictures = (table.slice(1, 0, 64) / 16).to(taut::kFloat32).reshape({-1, 1, 8, 8});
  const Tensor labels = table.select(1, 64).to(taut::kInt64);
  const auto [train, test] = taut::data::stratified_split(labels, 0.2, &generator);
  const auto rows = [&](const std::vector<int64_t>& indices) {
    const Tensor index = taut::tensor(indices);
    return Split{taut::index_select(pictures, 0, index), taut::index_select(labels, 0, index)};
  };
  return {rows(train), rows(test)};
}

// The training set, of which every batch is moved by up to a tenth of its width and strewn with a
// little noise.
class Augmented : public taut::data::TensorDataset {
 public:
  explicit Augmented(const Split& split)
      : TensorDataset({split.pictures, split.labels}),
        reach_(std::max<int64_t>(split.pictures.size(3) / 12, 1)) {}

  Tensors get_batch(std::span<const int64_t> indices) override {
    taut::Generator& generator = taut::data::batch_generator();
    Tensors batch = TensorDataset::get_batch(indices);
    const int64_t count = batch[0].size(0), height = batch[0].size(2), width = batch[0].size(3);
    // A picture in a frame of zeros, from which a window is cut for each sample.
    Tensor framed = taut::zeros({count, 1, height + 2 * reach_, width + 2 * reach_});
    framed.narrow(2, reach_, height).narrow(3, reach_, width).copy_(batch[0]);
    const Tensor shifts = taut::randint(0, 2 * reach_ + 1, {count, 2}, {}, &generator);
    const int64_t* shift = shifts.data_ptr<int64_t>();
    Tensor moved = taut::empty_like(batch[0]);
    for (int64_t i = 0; i < count; ++i) {
      moved[i].copy_(framed[i].narrow(1, shift[2 * i], height).narrow(2, shift[2 * i + 1], width));
    }
    const Tensor noise = taut::randn(moved.shape(), {}, &generator);
    return {moved + noise * 0.03, batch[1]};
  }

 private:
  int64_t reach_;
};

// Between braces the layers are made from left to right, and so are their random weights; the order
// between parentheses is up to the compiler.
struct Net : nn::Module {
  explicit Net(int64_t size)
      : features(register_module(
            "features",
            nn::Sequential{nn::Conv2d(1, 32, 3, {.padding = 1, .bias = false}), nn::BatchNorm2d(32),
                           nn::ReLU(true), nn::MaxPool2d(2),
                           nn::Conv2d(32, 64, 3, {.padding = 1, .bias = false}),
                           nn::BatchNorm2d(64), nn::ReLU(true), nn::MaxPool2d(2), nn::Flatten()})),
        classifier(register_module(
            "classifier", nn::Sequential{nn::Linear(64 * (size / 4) * (size / 4), 128),
                                         nn::ReLU(true), nn::Dropout(0.3), nn::Linear(128, 10)})) {}
  Tensor forward(const Tensor& x) override { return (*classifier)((*features)(x)); }

  std::shared_ptr<nn::Sequential> features;
  std::shared_ptr<nn::Sequential> classifier;
};

// Logits of all pictures, in eval mode.
Tensor predict(nn::Module& model, const Tensor& pictures, taut::Device device) {
  const taut::NoGradGuard no_grad;
  model.eval();
  Tensors logits;
  for (const Tensor& part : pictures.split(500)) logits.push_back(model(moved(part, device)));
  model.train();
  return taut::cat(logits).cpu();
}

double accuracy(const Tensor& logits, const Tensor& labels) {
  return logits.argmax(1).eq(labels).to(taut::kFloat32).mean().item<double>();
}

void print_confusion(const Tensor& logits, const Tensor& labels) {
  const Tensor predicted = logits.argmax(1);
  int64_t counts[10][10] = {};
  for (int64_t i = 0; i < labels.numel(); ++i) {
    ++counts[labels.data_ptr<int64_t>()[i]][predicted.data_ptr<int64_t>()[i]];
  }
  std::printf("\nrows: what it is; columns: what was read\n     ");
  for (int c = 0; c < 10; ++c) std::printf("%6d", c);
  for (int r = 0; r < 10; ++r) {
    std::printf("\n%4d ", r);
    for (int64_t count : counts[r])
      count == 0 ? std::printf("     .") : std::printf("%6lld", static_cast<long long>(count));
  }
  std::puts("");
}

// Loss and accuracy over the epochs, and the test pictures that were read wrong with the most
// confidence.
void draw(const std::string& path, const std::vector<double>& losses,
          const std::vector<double>& accuracies, const Tensor& logits, const Split& test) {
  example::Picture picture(680, 420);
  picture.rectangle(20, 20, 640, 200, {245, 245, 245});
  picture.curve(losses, 20, 25, 640, 190, {200, 60, 50});
  picture.curve(accuracies, 20, 25, 640, 190, {40, 100, 200});
  const Tensor losses_of =
      nn::functional::cross_entropy(logits, test.labels, {}, -100, nn::Reduction::none);
  const auto worst = taut::sort(losses_of, 0, true).second;
  const int64_t height = test.pictures.size(2), width = test.pictures.size(3);
  const int zoom = static_cast<int>(std::max<int64_t>(56 / width, 1));
  for (int k = 0; k < 20 && k < static_cast<int>(worst.numel()); ++k) {
    const Tensor one = test.pictures[worst.data_ptr<int64_t>()[k]][0].contiguous();
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const double ink = std::clamp<double>(one.data_ptr<float>()[y * width + x], 0, 1);
        const auto grey = static_cast<uint8_t>(255 - 255 * ink);
        picture.rectangle(20 + k % 10 * 64 + static_cast<int>(x) * zoom,
                          240 + k / 10 * 80 + static_cast<int>(y) * zoom, zoom, zoom,
                          {grey, grey, grey});
      }
    }
  }
  if (picture.write(path)) std::printf("curves and worst mistakes: %s\n", path.c_str());
}

void print_progress(int64_t number, int64_t epochs, int64_t batches, int64_t all_batches,
                    double loss, double train_accuracy, double speed) {
  std::printf("\repoch %2lld/%lld [%s] loss %.4f  accuracy %5.2f %%  %6.0f samples/s",
              static_cast<long long>(number), static_cast<long long>(epochs),
              bar(batches, all_batches).c_str(), loss, 100 * train_accuracy, speed);
  std::fflush(stdout);
}

// What the batches of an epoch came to, on their device until somebody asks.
class Tally {
 public:
  explicit Tally(Losses& losses) : losses_(losses) {}
  void add(const Tensor& loss, const Tensor& right) {
    losses_.add(loss);
    rights_.push_back(right);
  }
  // Takes over what was added since.
  void read() {
    const size_t first = losses_.values().size();
    losses_.read();
    for (size_t i = first; i < losses_.values().size(); ++i) loss_sum += losses_.values()[i];
    for (const Tensor& right : rights_) right_sum += right.item<int64_t>();
    rights_.clear();
  }
  double loss_sum = 0;
  int64_t right_sum = 0;

 private:
  Losses& losses_;
  Tensors rights_;
};

void run(const Options& options) {
  if (options.threads > 0) taut::set_num_threads(options.threads);
  const taut::Device device(options.device);
  taut::manual_seed(options.seed);
  check_losses_file(options.losses);
  taut::Generator split_generator(options.seed);
  const auto [train, test] = load_data(options, split_generator);
  std::printf("%lld pictures to learn from, %lld to test on\n",
              static_cast<long long>(train.labels.numel()),
              static_cast<long long>(test.labels.numel()));

  Net model(train.pictures.size(3));
  model.to(device);
  std::printf("%s\n", model.str().c_str());
  taut::data::DataLoader loader(std::make_shared<Augmented>(train),
                                {.batch_size = options.batch,
                                 .shuffle = true,
                                 .num_workers = options.workers,
                                 .drop_last = true,
                                 .generator = std::make_shared<taut::Generator>(options.seed)});
  taut::optim::AdamW optimizer(model.parameters(), {.lr = options.lr, .weight_decay = 0.01});
  taut::optim::OneCycleLR schedule(
      optimizer,
      {.max_lr = options.lr, .epochs = options.epochs, .steps_per_epoch = loader.size()});
  nn::CrossEntropyLoss loss_of({.label_smoothing = 0.05});

  Losses losses;
  std::vector<double> mean_losses, accuracies;
  const Stopwatch watch;
  for (int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    const Stopwatch epoch_watch;
    Tally tally(losses);
    int64_t seen = 0, batches = 0;
    for (const Tensors& batch : loader) {
      const Tensor pictures = moved(batch[0], device), labels = moved(batch[1], device);
      Tensor logits, loss;
      {
        const taut::AutocastMode autocast(device.type(), taut::kBFloat16, options.amp);
        logits = model(pictures);
        loss = loss_of(logits, labels);
      }
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
      if (++batches < loader.size() || epoch + 1 < options.epochs) schedule.step();
      tally.add(loss, logits.argmax(1).eq(labels).sum());
      seen += labels.numel();
      if (batches % 10 == 0 || batches == loader.size()) {
        tally.read();
        print_progress(epoch + 1, options.epochs, batches, loader.size(),
                       tally.loss_sum / static_cast<double>(batches),
                       static_cast<double>(tally.right_sum) / static_cast<double>(seen),
                       static_cast<double>(seen) / epoch_watch.seconds());
      }
    }
    mean_losses.push_back(tally.loss_sum / static_cast<double>(batches));
    accuracies.push_back(accuracy(predict(model, test.pictures, device), test.labels));
    std::printf("  test %5.2f %%\n", 100 * accuracies.back());
  }
  std::printf("trained in %.1f s\n", watch.seconds());
  if (!options.losses.empty()) losses.write(options.losses);

  // What was saved is what was trained.
  taut::save(model, options.save, {{"classes", "10"}});
  Net again(train.pictures.size(3));
  again.load_state_dict(taut::load(options.save));
  again.to(device);
  const Tensor logits = predict(again, test.pictures, device);
  print_confusion(logits, test.labels);
  draw(options.picture, mean_losses, accuracies, logits, test);
  std::printf("weights: %s\ntest accuracy %.2f %%\n", options.save.c_str(),
              100 * accuracy(logits, test.labels));
}

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  return run_program("digits", [&] { run(options); });
}

// Trains a residual network to tell pictures apart, and tells what is on pictures.
//
//   resnet train --data FOLDER               # FOLDER/train/CLASS/*.jpg and FOLDER/val/CLASS/*.jpg
//   resnet train --data FOLDER --depth 50    # the deeper network
//   resnet train --data FASHION_MNIST        # the IDX files of MNIST or Fashion-MNIST
//   resnet train --data FOLDER --resume      # goes on behind the last whole epoch
//   resnet classify picture.jpg ...          # the likeliest classes
//   resnet --help
//
// On a GPU images have their channels last and products are bfloat16. examples/python/resnet.py is
// the same program in Python, its losses are the same, and each goes on from the other's
// checkpoint.

#include "resnet.h"

#include <taut/taut.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint.h"
#include "command_line.h"
#include "resnet_data.h"
#include "training.h"

using taut::Tensor;
using taut::Tensors;

struct Options {
  std::string command;
  std::vector<std::string> pictures;
  std::string checkpoint = "resnet.safetensors";
  std::string device = taut::cuda::is_available() ? "cuda" : "cpu";
  std::string precision;

  std::string data, losses;
  bool resume = false;
  int64_t depth = 18, size = 0, epochs = 0, batch = 256, stop = 0;
  double lr = 0, weight_decay = 5e-4;
  int workers = 8;
  uint64_t seed = 1;

  int64_t top = 5;
};

// ---- From bytes to logits -----------------------------------------------------------------------

// From bytes to what the network sees, on its device.
class Inputs {
 public:
  Inputs(int64_t channels, taut::Device device) : device_(device) {
    // Of ImageNet's red, green and blue, in 0..1; one channel has no colors to tell apart.
    mean_ = per_channel(channels == 3 ? std::vector{0.485, 0.456, 0.406} : std::vector{0.5});
    std_ = per_channel(channels == 3 ? std::vector{0.229, 0.224, 0.225} : std::vector{0.5});
  }

  Tensor operator()(const Tensor& pictures) const {
    const Tensor x = (moved(pictures, device_).to(taut::kFloat32) / 255 - mean_) / std_;
    return device_.is_cuda() ? x.contiguous(taut::MemoryFormat::channels_last) : x;
  }

 private:
  Tensor per_channel(const std::vector<double>& values) const {
    const auto options = taut::TensorOptions(taut::kFloat32).device(device_);
    return taut::tensor(values, options).view({1, -1, 1, 1});
  }

  taut::Device device_;
  Tensor mean_, std_;
};

// A network on its device, with what it takes to ask it.
struct Classifier {
  Classifier(std::shared_ptr<ResNet> model_in, int64_t channels, taut::Device device_in,
             const std::string& precision)
      : device(device_in),
        model(std::move(model_in)),
        inputs(channels, device),
        is_half(precision.empty() ? device.is_cuda() : precision == "bfloat16") {
    model->to(device);
    if (device.is_cuda()) model->to(taut::MemoryFormat::channels_last);
  }

  Tensor logits(const Tensor& pictures) {
    const auto autocast = in_precision();
    return (*model)(inputs(pictures));
  }
  Tensor loss(const Tensor& pictures, const Tensor& labels) {
    const auto autocast = in_precision();
    return taut::nn::functional::cross_entropy((*model)(inputs(pictures)), moved(labels, device),
                                               {}, -100, taut::nn::Reduction::mean,
                                               /*label_smoothing=*/0.1);
  }
  taut::AutocastMode in_precision() const {
    return taut::AutocastMode(device.type(), taut::kBFloat16, is_half);
  }

  taut::Device device;
  std::shared_ptr<ResNet> model;
  Inputs inputs;
  bool is_half;
};

double accuracy(Classifier& classifier, taut::data::DataLoader& loader) {
  const taut::InferenceMode inference;
  classifier.model->eval();
  Tensors right;
  for (const Tensors& batch : loader) {
    const Tensor labels = moved(batch[1], classifier.device);
    right.push_back(classifier.logits(batch[0]).argmax(1).eq(labels).sum());
  }
  classifier.model->train();
  int64_t sum = 0;
  for (const Tensor& each : right) sum += each.item<int64_t>();
  return static_cast<double>(sum) / static_cast<double>(loader.dataset()->size());
}

// ---- Checkpoints --------------------------------------------------------------------------------

void save(const Classifier& classifier, const taut::optim::Optimizer& optimizer, int64_t epoch,
          const Options& o, const LabeledPictures& data) {
  std::string classes;
  for (const std::string& name : data.classes()) classes += (classes.empty() ? "" : "\n") + name;
  taut::save(training_state(*classifier.model, optimizer), o.checkpoint,
             {{"epoch", std::to_string(epoch)},
              {"depth", std::to_string(o.depth)},
              {"size", std::to_string(data.side())},
              {"channels", std::to_string(data.channels())},
              {"classes", classes}});
}

// What save() wrote.
struct ResNetCheckpoint : Checkpoint {
  explicit ResNetCheckpoint(const std::string& path)
      : Checkpoint(path, "a ResNet"),
        epoch(number("epoch")),
        depth(number("depth")),
        size(number("size")),
        channels(number("channels")) {
    const std::string& names = word("classes");
    for (size_t begin = 0; begin <= names.size();) {
      const size_t end = std::min(names.find('\n', begin), names.size());
      classes.push_back(names.substr(begin, end - begin));
      begin = end + 1;
    }
    if (!resnet_depths().contains(depth) || size < 1 || (channels != 1 && channels != 3)) {
      refuse(taut::concat("depth ", depth, ", ", size, " pixels and ", channels, " channels"));
    }
  }

  std::shared_ptr<ResNet> model() const {
    auto result =
        std::make_shared<ResNet>(depth, channels, static_cast<int64_t>(classes.size()), size);
    result->load_state_dict(part("model."));
    return result;
  }
  // @throws ValueError unless it can go on with these pictures.
  void check_fits(const Options& o, const LabeledPictures& data) const {
    if (depth == o.depth && size == data.side() && channels == data.channels() &&
        classes == data.classes()) {
      return;
    }
    const bool has_other_names =
        classes.size() == data.classes().size() && classes != data.classes();
    throw taut::ValueError(taut::concat(
        path(), " is of depth ", depth, ", ", size, " pixels, ", channels, " channels and ",
        classes.size(), " classes; asked for depth ", o.depth, ", ", data.side(), " pixels, ",
        data.channels(), " channels and ", data.classes().size(), " classes",
        has_other_names ? ", which have other names" : ""));
  }

  int64_t epoch, depth, size, channels;
  std::vector<std::string> classes;
};

// ---- Training -----------------------------------------------------------------------------------

// Norms and biases do not decay.
taut::optim::SGD make_optimizer(const ResNet& model, const Options& o) {
  taut::optim::ParamGroup weights{{}, {{"weight_decay", o.weight_decay}}};
  taut::optim::ParamGroup others{{}, {{"weight_decay", 0.0}}};
  for (const Tensor& parameter : model.parameters()) {
    (parameter.dim() > 1 ? weights : others).params.push_back(parameter);
  }
  return taut::optim::SGD({weights, others}, {.lr = o.lr, .momentum = 0.9, .nesterov = true});
}

// The bar of an epoch.
class Progress {
 public:
  Progress(int64_t epoch, int64_t epochs, int64_t batches, Losses& losses)
      : number_(epoch + 1), epochs_(epochs), batches_(batches), losses_(losses) {}

  void add(const Tensor& loss, int64_t pictures) {
    losses_.add(loss);
    pictures_ += pictures;
    ++done_;
    if (losses_.unread() < 10 && done_ < batches_) return;
    losses_.read();
    std::printf("\repoch %3lld/%lld [%s] loss %.4f  %6.0f pictures/s",
                static_cast<long long>(number_), static_cast<long long>(epochs_),
                bar(done_, batches_).c_str(), losses_.values().back(),
                static_cast<double>(pictures_) / watch_.seconds());
    std::fflush(stdout);
  }

 private:
  int64_t number_, epochs_, batches_;
  Losses& losses_;
  int64_t done_ = 0, pictures_ = 0;
  Stopwatch watch_;
};

// Goes once through the pictures. Their order and the pieces of them follow from the seed and the
// number of the epoch, so that nothing need be kept to go on.
void train_epoch(Classifier& classifier, taut::optim::Optimizer& optimizer, int64_t epoch,
                 const std::shared_ptr<LabeledPictures>& data, const Options& o, Losses& losses) {
  const auto generator = std::make_shared<taut::Generator>();
  generator->manual_seed(1'000'003 * o.seed + static_cast<uint64_t>(epoch));
  taut::data::DataLoader loader(data, {.batch_size = o.batch,
                                       .shuffle = true,
                                       .num_workers = o.workers,
                                       .drop_last = data->size() > o.batch,
                                       .generator = generator});
  const int64_t batches = loader.size(), steps = o.epochs * batches;
  const int64_t warmup = std::min(5 * batches, steps / 10);
  Progress progress(epoch, o.epochs, batches, losses);
  int64_t step = epoch * batches;
  for (const Tensors& batch : loader) {
    set_learning_rate(optimizer, learning_rate(step++, warmup, steps, o.lr, 0.0));
    const Tensor loss = classifier.loss(batch[0], batch[1]);
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    progress.add(loss, batch[1].numel());
  }
}

std::shared_ptr<ResNet> new_model(const Options& o, const LabeledPictures& data) {
  return std::make_shared<ResNet>(o.depth, data.channels(),
                                  static_cast<int64_t>(data.classes().size()), data.side());
}

// 11,689,512
std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

void train(Options o) {
  const taut::Device device(o.device);
  taut::manual_seed(o.seed);
  check_losses_file(o.losses);
  if (o.epochs == 0) o.epochs = holds_idx_files(o.data) ? 15 : 90;
  o.stop = std::min(o.stop == 0 ? o.epochs : o.stop, o.epochs);
  if (o.lr == 0) o.lr = 0.1 * static_cast<double>(o.batch) / 256;
  if (o.size < 0) {
    throw taut::ValueError(
        taut::concat("--size is ", o.size, "; expected a positive number of pixels"));
  }
  const PictureSets sets = open_pictures(o.data, o.size);
  const auto& [data, test] = sets;
  std::printf("%lld pictures of %zu classes to learn from, %lld to test on\n",
              static_cast<long long>(data->size()), data->classes().size(),
              static_cast<long long>(test->size()));

  std::optional<ResNetCheckpoint> kept;
  if (o.resume) kept.emplace(o.checkpoint).check_fits(o, *data);
  const auto model = kept ? kept->model() : new_model(o, *data);
  Classifier classifier(model, data->channels(), device, o.precision);
  std::printf("ResNet-%lld, %s weights, on %s\n", static_cast<long long>(o.depth),
              grouped(count_weights(*model)).c_str(), taut::concat(device).c_str());
  taut::optim::SGD optimizer = make_optimizer(*model, o);
  if (kept) kept->load_optimizer(optimizer);

  taut::data::DataLoader test_loader(test, {.batch_size = o.batch, .num_workers = o.workers});
  Losses losses;
  for (int64_t epoch = kept ? kept->epoch : 0; epoch < o.stop; ++epoch) {
    train_epoch(classifier, optimizer, epoch, data, o, losses);
    std::printf("  test %5.2f %%\n", 100 * accuracy(classifier, test_loader));
    std::fflush(stdout);
    save(classifier, optimizer, epoch + 1, o, *data);
    if (!o.losses.empty()) losses.write(o.losses);
  }
  std::printf("model: %s; what is on a picture: resnet classify picture.jpg\n",
              o.checkpoint.c_str());
}

// ---- Classifying --------------------------------------------------------------------------------

// The mean of red, green and blue, for a network that sees no colors.
Tensor without_colors(const Tensor& planes) {
  return (planes.to(taut::kFloat64).sum({0}, /*keepdim=*/true) / 3).to(taut::kUInt8);
}

void classify(const Options& o) {
  const taut::Device device(o.device);
  const ResNetCheckpoint kept(o.checkpoint);
  Classifier classifier(kept.model(), kept.channels, device, o.precision);
  classifier.model->eval();
  const int64_t top = std::min(o.top, static_cast<int64_t>(kept.classes.size()));
  const taut::InferenceMode inference;
  for (const std::string& path : o.pictures) {
    Tensor pixels = middle_of(path, kept.size);
    if (kept.channels == 1) pixels = without_colors(pixels);
    const Tensor logits = classifier.logits(pixels.unsqueeze(0)).to(taut::kFloat32);
    const auto [shares, classes] = taut::topk(logits.softmax(1).select(0, 0).cpu(), top);
    std::printf("%s:", path.c_str());
    for (int64_t i = 0; i < top; ++i) {
      const auto label = static_cast<size_t>(classes.data_ptr<int64_t>()[i]);
      std::printf("%s %s %.1f %%", i == 0 ? "" : ",", kept.classes[label].c_str(),
                  100 * static_cast<double>(shares.data_ptr<float>()[i]));
    }
    std::puts("");
  }
}

// ---- The command line ---------------------------------------------------------------------------

constexpr const char* kHelp =
    "usage: resnet train|classify [options]\n"
    "  --checkpoint FILE   where the model is kept (resnet.safetensors)\n"
    "  --device NAME       cpu, cuda, cuda:1\n"
    "  --precision NAME    of products, bfloat16 or float32 (bfloat16 on GPUs)\n"
    "train: trains and writes checkpoints\n"
    "  --data FOLDER       of pictures by class (JPEG and PNG), or of IDX files\n"
    "  --depth N           layers of the network, 18 or 50 (18)\n"
    "  --size N            pixels along each side that the network sees (224; those of IDX files)\n"
    "  --epochs N          how often to go through the training set (90; 15 for IDX files)\n"
    "  --batch N           pictures in a batch (256)\n"
    "  --lr X              highest learning rate (0.1 for each 256 pictures of a batch)\n"
    "  --weight-decay X    of weights, not of norms and biases (0.0005)\n"
    "  --workers N         threads that read pictures (8)\n"
    "  --resume            go on from the checkpoint\n"
    "  --stop N            end behind this epoch, as if more were to come\n"
    "  --seed N            seed of weights, order and augmentation (1)\n"
    "  --losses FILE       where the loss of every batch goes, one in a line\n"
    "classify PICTURE ...: tells what is on pictures\n"
    "  --top N             how many classes to tell (5)";

Options parse(int argc, char** argv) {
  Options o;
  const OptionTable table = {.values = {{"--checkpoint", into(o.checkpoint)},
                                        {"--device", into(o.device)},
                                        {"--precision", into(o.precision)},
                                        {"--data", into(o.data)},
                                        {"--depth", into(o.depth)},
                                        {"--size", into(o.size)},
                                        {"--epochs", into(o.epochs)},
                                        {"--batch", into(o.batch)},
                                        {"--lr", into(o.lr)},
                                        {"--weight-decay", into(o.weight_decay)},
                                        {"--workers", into(o.workers)},
                                        {"--stop", into(o.stop)},
                                        {"--seed", into(o.seed)},
                                        {"--losses", into(o.losses)},
                                        {"--top", into(o.top)}},
                             .flags = {{"--resume", &o.resume}}};
  std::vector<std::string> words = parse_command_line("resnet", kHelp, table, argc, argv);
  const auto check = [](bool is_right, const std::string& why) {
    if (!is_right) refuse_command_line("resnet", why);
  };
  check(!words.empty() && (words[0] == "train" || words[0] == "classify"),
        "expected the command train or classify");
  o.command = words[0];
  o.pictures.assign(words.begin() + 1, words.end());
  check(o.precision.empty() || o.precision == "bfloat16" || o.precision == "float32",
        "--precision is " + o.precision + "; expected bfloat16 or float32");
  check(resnet_depths().contains(o.depth),
        taut::concat("--depth is ", o.depth, "; expected 18 or 50"));
  if (o.command == "train") {
    check(!o.data.empty(), "train needs --data");
    check(o.pictures.empty(), "train takes options only");
  } else {
    check(!o.pictures.empty(), "classify needs pictures");
  }
  return o;
}

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  return run_program("resnet",
                     [&] { options.command == "train" ? train(options) : classify(options); });
}

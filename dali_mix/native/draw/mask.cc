// Draws masks by their laws.
#include "draw/mask.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numeric>

namespace dali_mix {

// The partner shows in (1 - lam) of the patches, rounded. Each choice of patches is equally likely.
DrawnMask DrawPatches(const Method &method, double lam, int height, int width, Random &random) {
  DrawnMask mask = {height / method.patch_height, width / method.patch_width};
  const int cells = mask.height * mask.width;
  std::vector<int> order(cells);
  std::iota(order.begin(), order.end(), 0);
  Shuffle(order, random);
  mask.values.assign(cells, 255);
  const int partners = static_cast<int>(std::lround((1 - lam) * cells));
  for (int i = 0; i < partners; i++) {
    mask.values[order[i]] = 0;
  }
  return mask;
}

// The partner shows in a grid of holes. The sides of a hole are sqrt(1 - lam) of those of its tile,
// and the grid begins anywhere within a tile.
DrawnMask DrawGrid(const Method &method, double lam, int height, int width, Random &random) {
  const int low = static_cast<int>(method.holes.low), high = static_cast<int>(method.holes.high);
  const int tiles = low + UniformInt(random, high - low + 1);
  const double ratio = std::sqrt(1 - lam);
  const auto holes = [&](int size) {
    const double start = Uniform(random);
    std::vector<bool> in_hole(size);
    for (int at = 0; at < size; at++) {
      const double place = (at + 0.5) * tiles / size + start;
      in_hole[at] = place - std::floor(place) < ratio;
    }
    return in_hole;
  };
  const auto rows = holes(height), columns = holes(width);
  std::vector<uint8_t> row(width);  // one that has holes
  std::transform(columns.begin(), columns.end(), row.begin(), [](bool in) { return in ? 0 : 255; });
  DrawnMask mask = {height, width, std::vector<uint8_t>(static_cast<size_t>(height) * width, 255)};
  for (int y = 0; y < height; y++) {
    if (rows[y]) {
      std::copy(row.begin(), row.end(), mask.values.begin() + static_cast<size_t>(y) * width);
    }
  }
  return mask;
}

namespace {

// Gaussian noise whose amplitudes fall with a power of the frequency, at points 4 pixels apart.
// Frequencies that add less than 1e-4 of the power are left out.
class Noise {
 public:
  static constexpr int kStep = 4;

  Noise(double decay, int height, int width, Random &random)
      : rows_(height / kStep + 2), columns_(width / kStep + 2), values_(size_t(rows_) * columns_) {
    const int most = std::min(64, static_cast<int>(std::ceil(std::pow(10.0, 4 / (2 * decay - 2)))));
    const int highest_y = std::min(most, height / 2), highest_x = std::min(most, width / 2);
    using Complex = std::complex<float>;
    std::vector<Complex> line(columns_);
    for (int ky = -highest_y; ky <= highest_y; ky++) {
      std::fill(line.begin(), line.end(), Complex{});
      for (int kx = 0; kx <= highest_x; kx++) {
        const double y = double(ky) / height, x = double(kx) / width;
        // Not std::hypot, which needs glibc 2.35.
        const double frequency = std::sqrt(y * y + x * x);
        const double real = Normal(random), imaginary = Normal(random);
        // At kx = 0, ky and -ky give the same wave. Both would count this axis twice.
        if (kx == 0 && ky <= 0) {
          continue;
        }
        const Complex amplitude =
            Complex(static_cast<float>(real), static_cast<float>(imaginary)) *
            static_cast<float>(std::pow(frequency * std::max(height, width), -decay));
        Complex wave = amplitude;
        const Complex turn = Turn(kx, width);
        for (Complex &value : line) {
          value += wave;
          wave *= turn;
        }
      }
      Complex wave = 1;
      const Complex turn = Turn(ky, height);
      for (int y = 0; y < rows_; y++, wave *= turn) {
        for (int x = 0; x < columns_; x++) {
          values_[size_t(y) * columns_ + x] +=
              line[x].real() * wave.real() - line[x].imag() * wave.imag();
        }
      }
    }
  }

  // Linear interpolation between the points.
  float At(int y, int x) const {
    const float *above = &values_[size_t(y / kStep) * columns_ + x / kStep];
    const float *below = above + columns_;
    const float v = float(y % kStep) / kStep, u = float(x % kStep) / kStep;
    return (1 - v) * ((1 - u) * above[0] + u * above[1]) + v * ((1 - u) * below[0] + u * below[1]);
  }

 private:
  static std::complex<float> Turn(int k, int size) {
    const double angle = 2 * M_PI * k * kStep / size;
    return {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
  }

  int rows_, columns_;
  std::vector<float> values_;
};

}  // namespace

// The own image shows where the noise is highest (Harris et al. 2020, FMix).
DrawnMask DrawFourier(const Method &method, double lam, int height, int width, Random &random) {
  const Noise noise(method.decay, height, width, random);
  std::vector<float> values;
  values.reserve(static_cast<size_t>(height) * width);
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      values.push_back(noise.At(y, x));
    }
  }
  const size_t partners = static_cast<size_t>(std::lround((1 - lam) * values.size()));
  DrawnMask mask = {height, width, std::vector<uint8_t>(values.size(), 0)};
  if (partners == values.size()) {
    return mask;
  }
  std::vector<float> order = values;
  std::nth_element(order.begin(), order.begin() + partners, order.end());
  for (size_t i = 0; i < values.size(); i++) {
    mask.values[i] = values[i] >= order[partners] ? 255 : 0;
  }
  return mask;
}

// The partner shows in a Gaussian bell around any pixel (Lee et al. 2020, SmoothMix).
DrawnMask DrawBell(const Method &method, int height, int width, Random &random) {
  const auto bell = [&](int size) {
    const int center = UniformInt(random, size);
    const double sigma = Uniform(random, method.sigma.low, method.sigma.high) * size;
    std::vector<float> values(size);
    for (int at = 0; at < size; at++) {
      values[at] = static_cast<float>(std::exp(-0.5 * std::pow((at - center) / sigma, 2)));
    }
    return values;
  };
  const auto rows = bell(height), columns = bell(width);
  DrawnMask mask = {height, width, std::vector<uint8_t>(static_cast<size_t>(height) * width)};
  for (int y = 0; y < height; y++) {
    // The compiler cannot know that the stored bytes are none of what is read.
    uint8_t *__restrict row = &mask.values[static_cast<size_t>(y) * width];
    const float *column = columns.data(), in_row = rows[y];
    for (int x = 0; x < width; x++) {  // + 0.5 rounds, because no value is negative
      row[x] = static_cast<uint8_t>(static_cast<int>(255 * (1 - in_row * column[x]) + 0.5f));
    }
  }
  return mask;
}

}  // namespace dali_mix

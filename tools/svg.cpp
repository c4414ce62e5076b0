#include "tools/svg.h"

#include <algorithm>
#include <cmath>
#include <iomanip>

namespace ganmm::tools {
namespace {

const char* name_of(Anchor anchor) {
  switch (anchor) {
  case Anchor::start: return "start";
  case Anchor::middle: return "middle";
  case Anchor::end: break;
  }
  return "end";
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
    case '&': safe += "&amp;"; break;
    case '<': safe += "&lt;"; break;
    case '>': safe += "&gt;"; break;
    case '"': safe += "&quot;"; break;
    default: safe += c;
    }
  }
  return safe;
}

Svg::Svg(double width, double height) : width_(width), height_(height) {
  body_ << std::fixed << std::setprecision(1);
}

void Svg::line(double x0, double y0, double x1, double y1, const char* colour, double width) {
  body_ << "<line x1=\"" << x0 << "\" y1=\"" << y0 << "\" x2=\"" << x1 << "\" y2=\"" << y1
        << "\" stroke=\"" << colour << "\" stroke-width=\"" << width << "\"/>\n";
}

void Svg::polyline(const std::vector<double>& x, const std::vector<double>& y, const char* colour,
                   double width) {
  body_ << "<polyline points=\"";
  for (std::size_t i = 0; i < x.size(); ++i) body_ << (i == 0 ? "" : " ") << x[i] << ',' << y[i];
  body_ << "\" fill=\"none\" stroke=\"" << colour << "\" stroke-width=\"" << width
        << "\" stroke-linejoin=\"round\"/>\n";
}

void Svg::rectangle(double x, double y, double width, double height, const char* colour,
                    double opacity) {
  body_ << "<rect x=\"" << x << "\" y=\"" << y << "\" width=\"" << width << "\" height=\"" << height
        << "\" fill=\"" << colour << "\" fill-opacity=\"" << opacity << "\"/>\n";
}

void Svg::disc(double x, double y, double radius, const char* colour, double opacity) {
  body_ << "<circle cx=\"" << x << "\" cy=\"" << y << "\" r=\"" << radius << "\" fill=\"" << colour
        << "\" fill-opacity=\"" << opacity << "\"/>\n";
}

void Svg::diamond(double x, double y, double radius, const char* colour) {
  body_ << "<path d=\"M" << x << ',' << y - radius << " L" << x + radius << ',' << y << " L" << x
        << ',' << y + radius << " L" << x - radius << ',' << y << " Z\" fill=\"#ffffff\" stroke=\""
        << colour << "\" stroke-width=\"1.6\"/>\n";
}

void Svg::text(double x, double y, const std::string& words, const TextStyle& style) {
  body_ << "<text x=\"" << x << "\" y=\"" << y << "\" font-size=\"" << style.size
        << "\" text-anchor=\"" << name_of(style.anchor) << "\" fill=\"" << style.colour << '"'
        << (style.bold ? " font-weight=\"600\"" : "") << '>' << escaped(words) << "</text>\n";
}

std::string Svg::str() const {
  std::ostringstream all;
  all << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width_ << "\" height=\"" << height_
      << "\" viewBox=\"0 0 " << width_ << ' ' << height_
      << "\" font-family=\"Helvetica, Arial, sans-serif\">\n"
      << "<rect width=\"" << width_ << "\" height=\"" << height_ << "\" fill=\"#ffffff\"/>\n"
      << body_.str() << "</svg>\n";
  return all.str();
}

double Axis::pixel(double value) const {
  const double share = (value - ticks.front()) / (ticks.back() - ticks.front());
  return first_pixel + share * (last_pixel - first_pixel);
}

std::string Axis::label(std::size_t tick) const {
  const double step = ticks[1] - ticks[0];
  const double largest = std::max(std::abs(ticks.front()), std::abs(ticks.back()));
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  std::ostringstream text;
  if (largest >= 1e6 || decimals > 4) {  // digits that tell neighbours apart, and an exponent
    text << std::setprecision(static_cast<int>(std::ceil(std::log10(largest / step))) + 1);
  } else {
    text << std::fixed << std::setprecision(decimals);
  }
  text << (std::abs(ticks[tick]) < 1e-9 * step ? 0.0 : ticks[tick]);
  return text.str();
}

std::vector<double> round_ticks(double low, double high, int count) {
  // Values that are equal but for rounding stand in the middle of a short axis.
  const double largest = std::max(std::abs(low), std::abs(high));
  if (high - low <= 1e-6 * largest) {
    const double margin = largest > 0 ? 0.05 * largest : 0.05;
    low -= margin;
    high += margin;
  }
  const double wanted = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(wanted)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= wanted * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9);
  const double last = std::ceil(high / step - 1e-9);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

}  // namespace ganmm::tools

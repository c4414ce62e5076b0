// A small SVG picture: shapes and text in pixels from the upper left corner, on white.
#pragma once

#include <sstream>
#include <string>
#include <vector>

namespace ganmm::tools {

enum class Anchor { start, middle, end };

struct TextStyle {
  double size = 12;
  Anchor anchor = Anchor::start;
  const char* colour = "#333333";
  bool bold = false;
};

class Svg {
 public:
  Svg(double width, double height);

  void line(double x0, double y0, double x1, double y1, const char* colour, double width = 1);
  void polyline(const std::vector<double>& x, const std::vector<double>& y, const char* colour,
                double width);
  void rectangle(double x, double y, double width, double height, const char* colour,
                 double opacity = 1);
  void disc(double x, double y, double radius, const char* colour, double opacity = 1);
  void diamond(double x, double y, double radius, const char* colour);  // hollow
  void text(double x, double y, const std::string& words, const TextStyle& style = {});

  std::string str() const;

 private:
  std::ostringstream body_;
  double width_;
  double height_;
};

// Text as XML and HTML spell it.
std::string escaped(const std::string& text);

// A linear scale from values to pixels with round ticks about the values.
struct Axis {
  std::vector<double> ticks;  // ascending, the first and the last are the ends
  double first_pixel = 0;
  double last_pixel = 0;

  double pixel(double value) const;
  std::string label(std::size_t tick) const;  // as many digits as the ticks need
};

// Ticks at multiples of 1, 2 or 5 x 10^k that enclose low .. high, about `count` of them.
std::vector<double> round_ticks(double low, double high, int count);

}  // namespace ganmm::tools

// Curves of training as reports draw them: smoothed without bias, on axes that show where the runs still differ.
#pragma once

#include "lithe/report/page.h"

namespace lithe {

// Local linear regression over about a tenth of the points around each (fewer near the beginning, where curves are
// steep and the first point stays as it is): neither behind nor above what was logged, at the ends neither. Points are
// taken as evenly spaced, as training logs them; those that are not finite are left out.
// Source: Cleveland 1979, "Robust locally weighted regression" (here with equal weights).
std::vector<CurvePoint> smoothed(const std::vector<CurvePoint>& points);

// At most about `most` points, evenly spread over the logarithm of x; first and last stay.
std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& points, size_t most);

// A chart of curves of training. The x axis is logarithmic, from a fiftieth of the shortest curve's end; the y axis
// ends at what the curves have behind their first twenty-fifth, if the part above it would take a quarter of the
// picture.
Chart training_chart(const std::string& title, const std::string& x_label, std::vector<Curve> curves);

}  // namespace lithe

#include "lithe/model/coordinates.h"

#include "lithe/nn/sinusoids.h"

namespace lithe {

Tensor CoordinateLayer::with_coordinates(const Tensor& x_TBD, const Pass& pass) const {
    const int64_t width = x_TBD.size(2);
    const Tensor places_TB = positions_of(pass, x_TBD.size(0), x_TBD.size(1), x_TBD.device());
    const Tensor step = at::full({1, 1}, step_, places_TB.options());
    return x_TBD + position_sinusoids(places_TB, width, x_TBD.scalar_type()) +
           position_sinusoids(step, width, x_TBD.scalar_type());
}

UnitOutput CoordinateLayer::forward(const Flow& flow, const State& state, const Pass& pass) const {
    return layer_->forward({with_coordinates(flow.x_TBD, pass), flow.bag}, state, pass);
}

State CoordinateLayer::skip(const Tensor& x_TBD, const State& state, const Pass& pass) const {
    return layer_->skip(with_coordinates(x_TBD, pass), state, pass);
}

}  // namespace lithe

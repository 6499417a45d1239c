;; softmax — y[o,j,i] = e[j] / Σj e[j], e[j] = exp(x[o,j,i] − max over j), over x [outer][n][inner]
(module
  (func $exponential! (param $shifted v128) (param $e v128) (result v128) (local.get $e))
  (func $same! (param $v v128) (result v128) (local.get $v))
  (func $quotient! (param $e v128) (param $sum v128) (result v128) (f32x4.div (local.get $e) (local.get $sum)))
  (@kernel "f32_softmax"
    (call $softmax! (i32.const 1) (ref.func $exponential!) (ref.func $same!) (ref.func $quotient!)))
)

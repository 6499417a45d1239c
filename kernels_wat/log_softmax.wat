;; log_softmax — y[o,j,i] = (x[o,j,i] − m) − ln Σj exp(x[o,j,i] − m), m the maximum over j, over x [outer][n][inner]
(module
  (func $shifted! (param $shifted v128) (param $e v128) (result v128) (local.get $shifted))
  (func $difference! (param $shifted v128) (param $log v128) (result v128)
    (f32x4.sub (local.get $shifted) (local.get $log)))
  (@kernel "f32_log_softmax"
    (call $softmax! (i32.const 0) (ref.func $shifted!) (ref.func $log!) (ref.func $difference!)))
)

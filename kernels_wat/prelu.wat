;; prelu — Y = A < 0 ? A·B : A with broadcasting; A is X, B the slope.
(module
  (func $f32_prelu_op! (param $a v128) (param $b v128) (result v128)
    (v128.bitselect
      (f32x4.mul (local.get $a) (local.get $b))
      (local.get $a)
      (f32x4.lt (local.get $a) (v128.const i32x4 0 0 0 0))))
  (@kernel "f32_prelu" (call $map2_x32! (ref.func $f32_prelu_op!)))
)

;; neg — Y = −X. Floats change their sign bit, NaN included; integers wrap.
(module
  (func $f32_neg_op! (param $x v128) (result v128)
    (f32x4.neg (local.get $x)))
  (@kernel "f32_neg" (call $map_x32! (ref.func $f32_neg_op!)))

  (func $i32_neg_op! (param $x v128) (result v128)
    (i32x4.neg (local.get $x)))
  (@kernel "i32_neg" (call $map_x32! (ref.func $i32_neg_op!)))

  (func $i64_neg_op! (param $x v128) (result v128)
    (i64x2.neg (local.get $x)))
  (@kernel "i64_neg" (call $map_x64! (ref.func $i64_neg_op!)))
)

;; abs — Y = |X|. Floats lose their sign bit, NaN included; integers wrap: |MIN| = MIN.
(module
  (func $f32_abs_op! (param $x v128) (result v128)
    (f32x4.abs (local.get $x)))
  (@kernel "f32_abs" (call $map_x32! (ref.func $f32_abs_op!)))

  (func $i32_abs_op! (param $x v128) (result v128)
    (i32x4.abs (local.get $x)))
  (@kernel "i32_abs" (call $map_x32! (ref.func $i32_abs_op!)))

  (func $i64_abs_op! (param $x v128) (result v128)
    (i64x2.abs (local.get $x)))
  (@kernel "i64_abs" (call $map_x64! (ref.func $i64_abs_op!)))
)

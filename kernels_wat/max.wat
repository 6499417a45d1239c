;; max — Y = maximum(A, B) with broadcasting. Floats by IEEE-754-2019: NaN if either is NaN; +0 is greater than -0.
(module
  (func $f32_max_op! (param $a v128) (param $b v128) (result v128)
    (f32x4.max (local.get $a) (local.get $b)))
  (@kernel "f32_max" (call $map2_x32! (ref.func $f32_max_op!)))

  (func $i32_max_op! (param $a v128) (param $b v128) (result v128)
    (i32x4.max_s (local.get $a) (local.get $b)))
  (@kernel "i32_max" (call $map2_x32! (ref.func $i32_max_op!)))

  (func $i64_max_op! (param $a v128) (param $b v128) (result v128)
    (v128.bitselect (local.get $a) (local.get $b) (i64x2.gt_s (local.get $a) (local.get $b))))
  (@kernel "i64_max" (call $map2_x64! (ref.func $i64_max_op!)))
)

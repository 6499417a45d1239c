;; reduce_min — y[o,i] = the smallest x[o,j,i] over x [outer][n][inner]; of nothing, +inf or the largest integer
;; Order     any: IEEE-754 minimum, NaN wins, -0 < +0
;; Writes    outputs m0 ≤ o·inner + i < m1; reads up to 12 bytes past x
(module
  (func $min_f32! (param $a v128) (param $b v128) (result v128) (f32x4.min (local.get $a) (local.get $b)))
  (func $min_i32! (param $a v128) (param $b v128) (result v128) (i32x4.min_s (local.get $a) (local.get $b)))
  (func $min_i64! (param $a v128) (param $b v128) (result v128)
    (v128.bitselect (local.get $b) (local.get $a) (i64x2.gt_s (local.get $a) (local.get $b))))

  (@kernel "f32_reduce_min" (call $reduce_x32! (ref.func $min_f32!) (i32.const 0x7f800000)))
  (@kernel "i32_reduce_min" (call $reduce_x32! (ref.func $min_i32!) (i32.const 0x7fffffff)))
  (@kernel "i64_reduce_min" (call $reduce_x64! (ref.func $min_i64!) (i64.const 0x7fffffffffffffff)))
)

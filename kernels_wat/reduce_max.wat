;; reduce_max — y[o,i] = the largest x[o,j,i] over x [outer][n][inner]; of nothing, -inf or the smallest integer
;; Order     any: IEEE-754 maximum, NaN wins, +0 > -0
;; Writes    outputs m0 ≤ o·inner + i < m1; reads up to 12 bytes past x
(module
  (func $max_i32! (param $a v128) (param $b v128) (result v128) (i32x4.max_s (local.get $a) (local.get $b)))
  (func $max_i64! (param $a v128) (param $b v128) (result v128)
    (v128.bitselect (local.get $a) (local.get $b) (i64x2.gt_s (local.get $a) (local.get $b))))

  (@kernel "f32_reduce_max" 
    (call $reduce_x32! (ref.func $max_i32!) (ref.func $to_ordered!) (ref.func $from_ordered!) (i32.const 0xff800000)))
  (@kernel "i32_reduce_max" 
    (call $reduce_x32! (ref.func $max_i32!) (ref.func $itself!) (ref.func $itself!) (i32.const 0x80000000)))
  (@kernel "i64_reduce_max" (call $reduce_x64! (ref.func $max_i64!) (i64.const 0x8000000000000000)))
)

;; reduce_min — y[o,i] = the smallest x[o,j,i] over x [outer][n][inner]; of nothing, +inf or the largest integer
;; Order     any: IEEE-754 minimum, NaN wins, -0 < +0
;; Writes    outputs m0 ≤ o·inner + i < m1; reads up to 12 bytes past x
(module
  ;; The largest of the negated elements, negated.
  (func $to_reversed! (param $x v128) (result v128)
    (call $to_ordered! (v128.xor (local.get $x) (call $sign_bits!))))
  (func $from_reversed! (param $k v128) (result v128)
    (v128.xor (call $from_ordered! (local.get $k)) (call $sign_bits!)))
  (func $min_i32! (param $a v128) (param $b v128) (result v128) (i32x4.min_s (local.get $a) (local.get $b)))
  (func $min_i64! (param $a v128) (param $b v128) (result v128)
    (v128.bitselect (local.get $b) (local.get $a) (i64x2.gt_s (local.get $a) (local.get $b))))

  (@kernel "f32_reduce_min" 
    (call $reduce_x32! (ref.func $max_i32!) (ref.func $to_reversed!) (ref.func $from_reversed!) (i32.const 0x7f800000)))
  (@kernel "i32_reduce_min" 
    (call $reduce_x32! (ref.func $min_i32!) (ref.func $itself!) (ref.func $itself!) (i32.const 0x7fffffff)))
  (@kernel "i64_reduce_min" (call $reduce_x64! (ref.func $min_i64!) (i64.const 0x7fffffffffffffff)))
)

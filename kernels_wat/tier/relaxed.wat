;; relaxed — engines with relaxed SIMD that fuse: a multiply-add is one rounding.
(module
  (func $madd! (param $a v128) (param $b v128) (param $c v128) (result v128)
    (f32x4.relaxed_madd (local.get $a) (local.get $b) (local.get $c)))

  ;; Two sums with the same left factor.
  (func $madd2! (param $a v128) (param $b0 v128) (param $b1 v128) (param $c0 v128) (param $c1 v128)
                (result v128 v128)
    (call $madd! (local.get $a) (local.get $b0) (local.get $c0))
    (call $madd! (local.get $a) (local.get $b1) (local.get $c1)))

  ;; Rows of a register tile: no register holds products.
  (func $tile_rows! (result i32) (i32.const 6))
)

;; relaxed — engines with relaxed SIMD that fuse: a multiply-add is one rounding.
(module
  (func $madd! (param $a v128) (param $b v128) (param $c v128) (result v128)
    (f32x4.relaxed_madd (local.get $a) (local.get $b) (local.get $c)))

  ;; Rows of a register tile: no register holds products.
  (func $tile_rows! (result i32) (i32.const 6))
)

;; simd128 — the portable tier: a multiply-add is two roundings.
(module
  (func $madd! (param $a v128) (param $b v128) (param $c v128) (result v128)
    (f32x4.add (f32x4.mul (local.get $a) (local.get $b)) (local.get $c)))

  ;; Rows of a register tile: six would leave no register for the products.
  (func $tile_rows! (result i32) (i32.const 4))
)

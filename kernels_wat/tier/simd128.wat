;; simd128 — the portable tier: a multiply-add is two roundings.
(module
  (func $madd! (param $a v128) (param $b v128) (param $c v128) (result v128)
    (f32x4.add (f32x4.mul (local.get $a) (local.get $b)) (local.get $c)))

  ;; Two sums with the same left factor: both products first, which keeps the ports for products and for sums busy alike.
  (func $madd2! (param $a v128) (param $b0 v128) (param $b1 v128) (param $c0 v128) (param $c1 v128)
                (result v128 v128)
    (local $p v128)
    (local.set $p (f32x4.mul (local.get $a) (local.get $b1)))
    (f32x4.add (f32x4.mul (local.get $a) (local.get $b0)) (local.get $c0))
    (f32x4.add (local.get $p) (local.get $c1)))

  ;; Rows of a register tile: six would leave no register for the products.
  (func $tile_rows! (result i32) (i32.const 4))
)

;; simd128 — the portable tier: a multiply-add is two roundings.
(module
  (func $madd! (param $a v128) (param $b v128) (param $c v128) (result v128)
    (f32x4.add (f32x4.mul (local.get $a) (local.get $b)) (local.get $c)))
)

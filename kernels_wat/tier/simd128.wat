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

  ;; No instruction multiplies bytes here: kernels widen them to int16.
  (func $has_dot4! (result i32) (i32.const 0))
  (func $dot4_flip! (result i32) (i32.const -1))

  ;; c plus, in each lane, the products of its four bytes of w and x, both int8.
  (func $dot4! (param $w v128) (param $x v128) (param $c v128) (result v128)
    (local $u v128) (local $v v128)
    (local.set $u
      (i32x4.dot_i16x8_s (i16x8.extend_low_i8x16_s (local.get $w)) (i16x8.extend_low_i8x16_s (local.get $x))))
    (local.set $v
      (i32x4.dot_i16x8_s (i16x8.extend_high_i8x16_s (local.get $w)) (i16x8.extend_high_i8x16_s (local.get $x))))
    (i32x4.add (local.get $c)
      (i32x4.add
        (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27 (local.get $u) (local.get $v))
        (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31 (local.get $u) (local.get $v)))))
)

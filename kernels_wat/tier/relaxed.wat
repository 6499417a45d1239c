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

  ;; Products of bytes, four to a lane, where engine and machine compute them exactly: $dot4_flip! is not negative.
  (func $has_dot4! (result i32) (i32.const 1))

  ;; c plus, in each lane, the products of its four bytes of w, int8, and of x: int8 ^ $dot4_flip!. WebAssembly lets an
  ;; engine take x for int8 or for uint8, and pairs of products wrap or saturate as int16; the choice is always the same.
  (func $dot4! (param $w v128) (param $x v128) (param $c v128) (result v128)
    (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $w) (local.get $x) (local.get $c)))

  ;; 0x80 where x is uint8, 0 where it is int8, -1 where not all sums are exact.
  (func $dot4_flip! (result i32)
    (local $largest i32)
    (local.set $largest (call $dot4_of! (i32.const 127) (i32.const -1)))
    (select
      (i32.const 0x80)
      (select (i32.const 0) (i32.const -1)
        (i32.and
          (i32.eq (local.get $largest) (i32.const -508)) ;; 4 · 127 · -1
          (i32.eq (call $dot4_of! (i32.const -128) (i32.const -128)) (i32.const 0x10000))))
      (i32.eq (local.get $largest) (i32.const 129540)))) ;; 4 · 127 · 255

  ;; Four times the product of a byte of w and one of x.
  (func $dot4_of! (param $w i32) (param $x i32) (result i32)
    (i32x4.extract_lane 0
      (call $dot4! (i8x16.splat (local.get $w)) (i8x16.splat (local.get $x)) (i32x4.splat (i32.const 0)))))
)

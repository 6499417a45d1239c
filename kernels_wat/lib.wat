;; lib — macros shared by every kernel: clamp, row addressing.
(module
  (type $unary (func (param v128) (result v128)))
  (type $binary (func (param v128 v128) (result v128)))
  (type $ternary (func (param v128 v128 v128) (result v128)))

  ;; clamp(x) = min(max(x, lo), hi); a bound replaces x only when strictly beyond it, so NaN and -0 pass.
  ;; pmax(a, b) = a < b ? b : a and pmin(a, b) = b < a ? b : a: one instruction each on x86-64.
  (func $clamp! (param $x v128) (param $lo v128) (param $hi v128) (result v128)
    (f32x4.pmin (f32x4.pmax (local.get $x) (local.get $lo)) (local.get $hi)))

  ;; Unsigned minimum.
  (func $min_u! (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b) (i32.lt_u (local.get $a) (local.get $b))))

  ;; Address of pixel `col` of an input row, or of `zero` when the row or the column lies in the padding.
  ;; `row` is the row's address (0 when it is in the padding); px is the distance of pixels in bytes.
  (func $pixel! (param $row i32) (param $col i32) (param $w i32) (param $px i32) (param $zero i32) (result i32)
    (select
      (i32.add (local.get $row) (i32.mul (local.get $col) (local.get $px)))
      (local.get $zero)
      (i32.and (i32.ne (local.get $row) (i32.const 0)) (i32.lt_u (local.get $col) (local.get $w)))))

  ;; Floats as integers of the same order, +0 above −0 and all NaNs above the rest, and back: one instruction finds the
  ;; maximum of two. It is the bits, those but the sign inverted where it is set, less 0x7fffff: negative NaNs, which are as
  ;; many, wrap. −∞ is the smallest integer.
  (func $to_ordered! (param $x v128) (result v128)
    (i32x4.sub (call $ordered_bits! (local.get $x)) (i32x4.splat (i32.const 0x7fffff))))
  (func $from_ordered! (param $k v128) (result v128)
    (call $ordered_bits! (i32x4.add (local.get $k) (i32x4.splat (i32.const 0x7fffff)))))
  (func $ordered_bits! (param $x v128) (result v128)
    (v128.xor (local.get $x) (i32x4.shr_u (i32x4.shr_s (local.get $x) (i32.const 31)) (i32.const 1))))
)

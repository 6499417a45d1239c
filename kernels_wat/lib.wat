;; lib — macros shared by every kernel: clamp, partial stores, row addressing.
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

  ;; Store the first `count` (1 to 3) 32-bit lanes of v.
  (func $store_tail_x32! (param $p i32) (param $v v128) (param $count i32)
    (if (i32.and (local.get $count) (i32.const 2))
      (then
        (i64.store (local.get $p) (i64x2.extract_lane 0 (local.get $v)))
        (if (i32.and (local.get $count) (i32.const 1))
          (then (i32.store offset=8 (local.get $p) (i32x4.extract_lane 2 (local.get $v))))))
      (else (i32.store (local.get $p) (i32x4.extract_lane 0 (local.get $v))))))

  ;; Store the first min(count, 4) 32-bit lanes of v; count ≥ 1.
  (func $store_x32! (param $p i32) (param $v v128) (param $count i32)
    (if (i32.ge_u (local.get $count) (i32.const 4))
      (then (v128.store (local.get $p) (local.get $v)))
      (else (call $store_tail_x32! (local.get $p) (local.get $v) (local.get $count)))))

  ;; Store the first min(count, 2) 64-bit lanes of v; count ≥ 1.
  (func $store_x64! (param $p i32) (param $v v128) (param $count i32)
    (if (i32.ge_u (local.get $count) (i32.const 2))
      (then (v128.store (local.get $p) (local.get $v)))
      (else (i64.store (local.get $p) (i64x2.extract_lane 0 (local.get $v))))))

  ;; Address of pixel `col` of an input row, or of `zero` when the row or the column lies in the padding.
  ;; `row` is the row's address (0 when it is in the padding); px is the distance of pixels in bytes.
  (func $pixel! (param $row i32) (param $col i32) (param $w i32) (param $px i32) (param $zero i32) (result i32)
    (select
      (i32.add (local.get $row) (i32.mul (local.get $col) (local.get $px)))
      (local.get $zero)
      (i32.and (i32.ne (local.get $row) (i32.const 0)) (i32.lt_u (local.get $col) (local.get $w)))))
)

;; lib — macros shared by every kernel: clamp, partial stores, row addressing.
(module
  (type $unary (func (param v128) (result v128)))
  (type $binary (func (param v128 v128) (result v128)))

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

  ;; Finish one row of a register tile, 8 columns: y = clamp(v + residual), the first min(cols, 8) columns.
  ;; r is the address of the residual row, or 0 for none.
  (func $store_row8! (param $y i32) (param $r i32) (param $v0 v128) (param $v1 v128)
                     (param $lo v128) (param $hi v128) (param $cols i32)
    (local $u0 v128) (local $u1 v128)
    (local.set $u0 (local.get $v0))
    (local.set $u1 (local.get $v1))
    (if (local.get $r)
      (then
        (local.set $u0 (f32x4.add (local.get $u0) (v128.load (local.get $r))))
        (local.set $u1 (f32x4.add (local.get $u1) (v128.load offset=16 (local.get $r))))))
    (local.set $u0 (call $clamp! (local.get $u0) (local.get $lo) (local.get $hi)))
    (local.set $u1 (call $clamp! (local.get $u1) (local.get $lo) (local.get $hi)))
    (call $store_x32! (local.get $y) (local.get $u0) (local.get $cols))
    (if (i32.gt_u (local.get $cols) (i32.const 4))
      (then
        (call $store_x32! (i32.add (local.get $y) (i32.const 16)) (local.get $u1)
          (i32.sub (local.get $cols) (i32.const 4))))))

  ;; Finish a 4×8 register tile: the first min(rows, 4) rows, min(cols, 8) columns. Rows of y and of the residual r
  ;; (0: none) are ld bytes apart.
  (func $store_tile4x8! (param $y i32) (param $ld i32) (param $r i32)
                        (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                        (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                        (param $lo v128) (param $hi v128) (param $cols i32) (param $rows i32)
    (local $py i32) (local $pr i32) (local $dr i32)
    (local.set $dr (select (local.get $ld) (i32.const 0) (local.get $r)))
    (local.set $py (local.get $y))
    (local.set $pr (local.get $r))
    (call $store_row8! (local.get $py) (local.get $pr) (local.get $c00) (local.get $c01)
      (local.get $lo) (local.get $hi) (local.get $cols))
    (if (i32.gt_u (local.get $rows) (i32.const 1))
      (then
        (local.set $py (i32.add (local.get $py) (local.get $ld)))
        (local.set $pr (i32.add (local.get $pr) (local.get $dr)))
        (call $store_row8! (local.get $py) (local.get $pr) (local.get $c10) (local.get $c11)
          (local.get $lo) (local.get $hi) (local.get $cols))))
    (if (i32.gt_u (local.get $rows) (i32.const 2))
      (then
        (local.set $py (i32.add (local.get $py) (local.get $ld)))
        (local.set $pr (i32.add (local.get $pr) (local.get $dr)))
        (call $store_row8! (local.get $py) (local.get $pr) (local.get $c20) (local.get $c21)
          (local.get $lo) (local.get $hi) (local.get $cols))))
    (if (i32.gt_u (local.get $rows) (i32.const 3))
      (then
        (local.set $py (i32.add (local.get $py) (local.get $ld)))
        (local.set $pr (i32.add (local.get $pr) (local.get $dr)))
        (call $store_row8! (local.get $py) (local.get $pr) (local.get $c30) (local.get $c31)
          (local.get $lo) (local.get $hi) (local.get $cols)))))

  ;; Address of pixel `col` of an input row, or of `zero` when the row or the column lies in the padding.
  ;; `row` is the row's address (0 when it is in the padding); px is the distance of pixels in bytes.
  (func $pixel! (param $row i32) (param $col i32) (param $w i32) (param $px i32) (param $zero i32) (result i32)
    (select
      (i32.add (local.get $row) (i32.mul (local.get $col) (local.get $px)))
      (local.get $zero)
      (i32.and (i32.ne (local.get $row) (i32.const 0)) (i32.lt_u (local.get $col) (local.get $w)))))
)

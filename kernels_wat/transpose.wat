;; transpose — Y[i,c,r] = X[i,r,c]: 32-bit elements, in tiles of 4×4
;; Layout    X rows ldx bytes apart, matrices bx; Y rows ldy bytes apart, matrices by; elements of rows dense
;; Requires  rows ≥ 1 · cols ≥ 1 · ldx ≥ 0 · y and x do not overlap
;; Writes    the rows m0 ≤ i·cols + c < m1 of Y, `rows` elements each; reads up to 12 bytes past a row of X
;; Order     bands of up to 8 rows of Y: half a cache line of X at a time, and few enough streams of stores for the cache;
;;           three planes into dense pixels, as of pictures, by four pixels without bands
(module
  ;; The columns of the 4×4 matrix with rows x0 … x3.
  (func $transposed! (param $x0 v128) (param $x1 v128) (param $x2 v128) (param $x3 v128)
                     (result v128 v128 v128 v128)
    (local $t0 v128) (local $t1 v128) (local $t2 v128) (local $t3 v128)
    (local.set $t0 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $x0) (local.get $x1)))
    (local.set $t1 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $x2) (local.get $x3)))
    (local.set $t2 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $x0) (local.get $x1)))
    (local.set $t3 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $x2) (local.get $x3)))
    (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $t0) (local.get $t1))
    (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $t0) (local.get $t1))
    (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $t2) (local.get $t3))
    (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $t2) (local.get $t3)))

  ;; The columns of the 4×4 matrix with rows x0 … x3, the first min(cols, 4), as rows of Y at y, y + ldy, …;
  ;; the first min(rows, 4) elements of each.
  (func $store_transposed! (param $y i32) (param $ldy i32)
                           (param $x0 v128) (param $x1 v128) (param $x2 v128) (param $x3 v128)
                           (param $rows i32) (param $cols i32)
    (local $p i32) (local $t0 v128) (local $t1 v128) (local $t2 v128) (local $t3 v128)
    (local.set $t0 (local.set $t1 (local.set $t2 (local.set $t3
      (call $transposed! (local.get $x0) (local.get $x1) (local.get $x2) (local.get $x3))))))
    (local.set $p (local.get $y))
    (call $store_x32! (local.get $p) (local.get $t0) (local.get $rows))
    (if (i32.gt_u (local.get $cols) (i32.const 1))
      (then
        (local.set $p (i32.add (local.get $p) (local.get $ldy)))
        (call $store_x32! (local.get $p) (local.get $t1) (local.get $rows))))
    (if (i32.gt_u (local.get $cols) (i32.const 2))
      (then
        (local.set $p (i32.add (local.get $p) (local.get $ldy)))
        (call $store_x32! (local.get $p) (local.get $t2) (local.get $rows))))
    (if (i32.gt_u (local.get $cols) (i32.const 3))
      (then
        (local.set $p (i32.add (local.get $p) (local.get $ldy)))
        (call $store_x32! (local.get $p) (local.get $t3) (local.get $rows)))))

  ;; Four columns of three rows x0, x1, x2 as twelve elements: the pixels of three planes.
  (func $interleave3! (param $y i32) (param $x0 v128) (param $x1 v128) (param $x2 v128)
    (local $t v128) (local $u v128)
    (local.set $t (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $x0) (local.get $x1)))
    (local.set $u (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $x0) (local.get $x1)))
    (v128.store64_lane 0 (local.get $y) (local.get $t))
    (v128.store32_lane offset=8 0 (local.get $y) (local.get $x2))
    (v128.store64_lane offset=12 1 (local.get $y) (local.get $t))
    (v128.store32_lane offset=20 1 (local.get $y) (local.get $x2))
    (v128.store64_lane offset=24 0 (local.get $y) (local.get $u))
    (v128.store32_lane offset=32 2 (local.get $y) (local.get $x2))
    (v128.store64_lane offset=36 1 (local.get $y) (local.get $u))
    (v128.store32_lane offset=44 3 (local.get $y) (local.get $x2)))

  (func $x32_transpose (export "x32_transpose")
    (param $y i32) (param $x i32) (param $rows i32) (param $cols i32)
    (param $by i32) (param $ldy i32) (param $bx i32) (param $ldx i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $i i32) (local $c i32) (local $band i32) (local $j i32) (local $r i32)
    (local $px i32) (local $py i32) (local $last i32) (local $p i32)
    (local $x0 v128) (local $x1 v128) (local $x2 v128)
    (local.set $m (local.get $m0))
    (block $done
      (loop $bands
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $i (i32.div_u (local.get $m) (local.get $cols)))
        (local.set $c (i32.sub (local.get $m) (i32.mul (local.get $i) (local.get $cols))))
        (local.set $band
          (call $min_u! (i32.sub (local.get $cols) (local.get $c)) (i32.sub (local.get $m1) (local.get $m))))
        (local.set $px
          (i32.add (i32.add (local.get $x) (i32.mul (local.get $i) (local.get $bx)))
            (i32.shl (local.get $c) (i32.const 2))))
        (local.set $py
          (i32.add (i32.add (local.get $y) (i32.mul (local.get $i) (local.get $by)))
            (i32.mul (local.get $c) (local.get $ldy))))
        (if
          (i32.and
            (i32.and (i32.eq (local.get $rows) (i32.const 3)) (i32.eq (local.get $ldy) (i32.const 12)))
            (i32.ge_u (local.get $band) (i32.const 4)))
          (then
            (loop $fours
              (call $interleave3! (local.get $py)
                (v128.load (local.get $px))
                (v128.load (i32.add (local.get $px) (local.get $ldx)))
                (v128.load (i32.add (local.get $px) (i32.shl (local.get $ldx) (i32.const 1)))))
              (local.set $px (i32.add (local.get $px) (i32.const 16)))
              (local.set $py (i32.add (local.get $py) (i32.const 48)))
              (local.set $m (i32.add (local.get $m) (i32.const 4)))
              (br_if $fours
                (i32.ge_u (local.tee $band (i32.sub (local.get $band) (i32.const 4))) (i32.const 4))))
            (br $bands)))
        (local.set $band (call $min_u! (local.get $band) (i32.const 8)))
        ;; Rows of X past the end repeat the last one; they are not stored.
        (local.set $last (i32.add (local.get $px) (i32.mul (i32.sub (local.get $rows) (i32.const 1)) (local.get $ldx))))
        (local.set $r (i32.const 0))
        (loop $rows_of_x
          (local.set $j (i32.const 0))
          (loop $tiles
            (local.set $x0
              (v128.load (i32.add (local.get $px) (i32.shl (local.get $j) (i32.const 2)))))
            (local.set $p (call $min_u! (i32.add (local.get $px) (local.get $ldx)) (local.get $last)))
            (local.set $x1
              (v128.load (i32.add (local.get $p) (i32.shl (local.get $j) (i32.const 2)))))
            (local.set $p (call $min_u! (i32.add (local.get $p) (local.get $ldx)) (local.get $last)))
            (local.set $x2
              (v128.load (i32.add (local.get $p) (i32.shl (local.get $j) (i32.const 2)))))
            (local.set $p (call $min_u! (i32.add (local.get $p) (local.get $ldx)) (local.get $last)))
            (call $store_transposed!
              (i32.add
                (i32.add (local.get $py) (i32.mul (local.get $j) (local.get $ldy)))
                (i32.shl (local.get $r) (i32.const 2)))
              (local.get $ldy)
              (local.get $x0) (local.get $x1) (local.get $x2)
              (v128.load (i32.add (local.get $p) (i32.shl (local.get $j) (i32.const 2))))
              (i32.sub (local.get $rows) (local.get $r))
              (i32.sub (local.get $band) (local.get $j)))
            (br_if $tiles
              (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 4))) (local.get $band))))
          (local.set $px (i32.add (local.get $px) (i32.shl (local.get $ldx) (i32.const 2))))
          (br_if $rows_of_x
            (i32.lt_u (local.tee $r (i32.add (local.get $r) (i32.const 4))) (local.get $rows))))
        (local.set $m (i32.add (local.get $m) (local.get $band)))
        (br $bands))))
)

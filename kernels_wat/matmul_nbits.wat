;; matmul_nbits — C[m,n] = clamp(b[n] + Σk A[m,k]·W[k,n] + R[m,n], lo, hi) with W = (q − z)·s of eight or four bits
;; Order     W: the difference is exact, one product; then as f32_gemm: acc = b; k ascending: acc = madd(A, W, acc); + R
;; Layout    q packed in panels of eight columns, [⌈n/8⌉][k/2][2][8] bytes (x8), or with the two in one byte, the first in
;;           its low half (x4) · s floats and z bytes [⌈n/8⌉][⌈k/block⌉][8], for `block` k each
;;           rows of A lda bytes apart, those of C and R ldc · b padded to 8 · r = 0: none; r = c allowed
;; Requires  k and block even and above 0
;; Writes    the columns 8·m0 ≤ j < 8·m1 below n of all rows; reads up to 28 bytes past R
;; Tiles     weights are expanded in registers, for four rows of A at a time, or for a single one
(module
  (type $pair (func (param i32) (result v128 v128)))

  ;; The weights of two values of k, as int16.
  (func $pair_x8! (param $q i32) (result v128 v128)
    (v128.load8x8_u (local.get $q)) (v128.load8x8_u offset=8 (local.get $q)))
  (func $pair_x4! (param $q i32) (result v128 v128)
    (local $v v128)
    (local.set $v (v128.load8x8_u (local.get $q)))
    (v128.and (local.get $v) (i16x8.splat (i32.const 15))) (i16x8.shr_u (local.get $v) (i32.const 4)))

  ;; Small integers as the last bits of 2²³: floats, whose differences are exact.
  (func $raise8! (param $q v128) (result v128 v128)
    (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $q) (i16x8.splat (i32.const 0x4B00)))
    (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $q) (i16x8.splat (i32.const 0x4B00))))

  (func $expand8! (param $q v128) (param $z0 v128) (param $z1 v128) (param $s0 v128) (param $s1 v128)
                  (result v128 v128)
    (local $f0 v128) (local $f1 v128)
    (local.set $f0 (local.set $f1 (call $raise8! (local.get $q))))
    (f32x4.mul (f32x4.sub (local.get $f0) (local.get $z0)) (local.get $s0))
    (f32x4.mul (f32x4.sub (local.get $f1) (local.get $z1)) (local.get $s1)))

  ;; One k of four rows by eight columns.
  (func $step4x8! (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32)
                  (param $q v128) (param $z0 v128) (param $z1 v128) (param $s0 v128) (param $s1 v128)
                  (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                  (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                  (result v128 v128 v128 v128 v128 v128 v128 v128)
    (local $w0 v128) (local $w1 v128)
    (local.set $w0 (local.set $w1
      (call $expand8! (local.get $q) (local.get $z0) (local.get $z1) (local.get $s0) (local.get $s1))))
    (call $madd2! (v128.load32_splat (local.get $a0))
      (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))
    (call $madd2! (v128.load32_splat (local.get $a1))
      (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))
    (call $madd2! (v128.load32_splat (local.get $a2))
      (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))
    (call $madd2! (v128.load32_splat (local.get $a3))
      (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31)))

  (func $f32_gemm_bits! (param $pair (ref $pair)) (param $both i32)
    (param $c i32) (param $a i32) (param $q i32) (param $s i32) (param $z i32) (param $b i32) (param $r i32)
    (param $lo f32) (param $hi f32) (param $k i32) (param $n i32) (param $block i32) (param $rows i32)
    (param $lda i32) (param $ldc i32) (param $m0 i32) (param $m1 i32)
    (local $size i32) (local $blocks i32) (local $j i32) (local $vlo v128) (local $vhi v128)
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $size
      (i32.mul (i32.shr_u (local.get $k) (i32.const 1)) (local.get $both)))
    (local.set $blocks
      (i32.div_u (i32.sub (i32.add (local.get $k) (local.get $block)) (i32.const 1)) (local.get $block)))
    (local.set $j (local.get $m0))
    (block $done
      (loop $panels
        (br_if $done (i32.ge_u (local.get $j) (local.get $m1)))
        (if (i32.eq (local.get $rows) (i32.const 1))
          (then
            (call $row_of_bits! (local.get $pair) (local.get $both)
              (local.get $c) (local.get $a) (local.get $q) (local.get $s) (local.get $z) (local.get $b) (local.get $r)
              (local.get $vlo) (local.get $vhi) (local.get $k) (local.get $n) (local.get $block)
              (local.get $size) (local.get $blocks) (local.get $j)))
          (else
            (call $rows_of_bits! (local.get $pair) (local.get $both)
              (local.get $c) (local.get $a) (local.get $q) (local.get $s) (local.get $z) (local.get $b) (local.get $r)
              (local.get $vlo) (local.get $vhi) (local.get $k) (local.get $n) (local.get $block) (local.get $rows)
              (local.get $lda) (local.get $ldc) (local.get $size) (local.get $blocks) (local.get $j))))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br $panels))))

  ;; Panel j of a single row.
  (func $row_of_bits! (param $pair (ref $pair)) (param $both i32)
    (param $c i32) (param $a i32) (param $q i32) (param $s i32) (param $z i32) (param $b i32) (param $r i32)
    (param $lo v128) (param $hi v128) (param $k i32) (param $n i32) (param $block i32)
    (param $size i32) (param $blocks i32) (param $j i32)
    (local $pa i32) (local $p i32) (local $o i32) (local $left i32) (local $end i32)
    (local $s0 v128) (local $s1 v128) (local $z0 v128) (local $z1 v128) (local $u0 v128) (local $u1 v128)
    (local $w0 v128) (local $w1 v128) (local $c0 v128) (local $c1 v128)
    (local.set $pa (local.get $a))
    (local.set $left (local.get $k))
    (local.set $p (i32.add (local.get $q) (i32.mul (local.get $j) (local.get $size))))
    (local.set $o (i32.shl (i32.mul (local.get $j) (local.get $blocks)) (i32.const 3)))
    (local.set $end (i32.add (local.get $b) (i32.shl (local.get $j) (i32.const 5))))
    (local.set $c0 (v128.load (local.get $end))) (local.set $c1 (v128.load offset=16 (local.get $end)))
    (loop $all
      (local.set $end (i32.add (local.get $s) (i32.shl (local.get $o) (i32.const 2))))
      (local.set $s0 (v128.load (local.get $end))) (local.set $s1 (v128.load offset=16 (local.get $end)))
      (local.set $z0 (local.set $z1
        (call $raise8! (v128.load8x8_u (i32.add (local.get $z) (local.get $o))))))
      (local.set $o (i32.add (local.get $o) (i32.const 8)))
      (local.set $end
        (i32.add (local.get $pa)
          (i32.shl (call $min_u! (local.get $block) (local.get $left)) (i32.const 2))))
      (loop $pairs
        (local.set $u0 (local.set $u1 (call_ref $pair (local.get $p) (local.get $pair))))
        (local.set $w0 (local.set $w1
          (call $expand8! (local.get $u0) (local.get $z0) (local.get $z1) (local.get $s0) (local.get $s1))))
        (local.set $c0 (local.set $c1
          (call $madd2! (v128.load32_splat (local.get $pa))
            (local.get $w0) (local.get $w1) (local.get $c0) (local.get $c1))))
        (local.set $w0 (local.set $w1
          (call $expand8! (local.get $u1) (local.get $z0) (local.get $z1) (local.get $s0) (local.get $s1))))
        (local.set $c0 (local.set $c1
          (call $madd2! (v128.load32_splat offset=4 (local.get $pa))
            (local.get $w0) (local.get $w1) (local.get $c0) (local.get $c1))))
        (local.set $pa (i32.add (local.get $pa) (i32.const 8)))
        (local.set $p (i32.add (local.get $p) (local.get $both)))
        (br_if $pairs (i32.lt_u (local.get $pa) (local.get $end))))
      (local.set $left (i32.sub (local.get $left) (call $min_u! (local.get $block) (local.get $left))))
      (br_if $all (local.get $left)))
    (call $finish8! (local.get $c) (local.get $r) (local.get $j)
      (local.get $n) (local.get $c0) (local.get $c1) (local.get $lo) (local.get $hi)))

  ;; Panel j of all rows, four at a time; past the last one, that is computed again.
  (func $rows_of_bits! (param $pair (ref $pair)) (param $both i32)
    (param $c i32) (param $a i32) (param $q i32) (param $s i32) (param $z i32) (param $b i32) (param $r i32)
    (param $lo v128) (param $hi v128) (param $k i32) (param $n i32) (param $block i32) (param $rows i32)
    (param $lda i32) (param $ldc i32) (param $size i32) (param $blocks i32) (param $j i32)
    (local $p i32) (local $o i32) (local $left i32) (local $end i32) (local $pc i32) (local $pr i32) (local $rest i32)
    (local $first i32) (local $a0 i32) (local $a1 i32) (local $a2 i32) (local $a3 i32)
    (local $s0 v128) (local $s1 v128) (local $z0 v128) (local $z1 v128) (local $u0 v128) (local $u1 v128)
    (local $c00 v128) (local $c01 v128) (local $c10 v128) (local $c11 v128)
    (local $c20 v128) (local $c21 v128) (local $c30 v128) (local $c31 v128)
    (local.set $first (local.get $a))
    (local.set $pc (local.get $c))
    (local.set $pr (local.get $r))
    (local.set $rest (local.get $rows))
    (block $done
      (loop $tiles
        (br_if $done (i32.le_s (local.get $rest) (i32.const 0)))
        (local.set $a0 (local.get $first))
        (local.set $a1
          (i32.add (local.get $a0) (select (local.get $lda) (i32.const 0) (i32.gt_s (local.get $rest) (i32.const 1)))))
        (local.set $a2
          (i32.add (local.get $a1) (select (local.get $lda) (i32.const 0) (i32.gt_s (local.get $rest) (i32.const 2)))))
        (local.set $a3
          (i32.add (local.get $a2) (select (local.get $lda) (i32.const 0) (i32.gt_s (local.get $rest) (i32.const 3)))))
        (local.set $first (i32.add (local.get $a3) (local.get $lda)))
        (local.set $p (i32.add (local.get $q) (i32.mul (local.get $j) (local.get $size))))
        (local.set $o (i32.shl (i32.mul (local.get $j) (local.get $blocks)) (i32.const 3)))
        (local.set $end (i32.add (local.get $b) (i32.shl (local.get $j) (i32.const 5))))
        (local.set $c00 (v128.load (local.get $end))) (local.set $c01 (v128.load offset=16 (local.get $end)))
        (local.set $c10 (local.get $c00)) (local.set $c11 (local.get $c01))
        (local.set $c20 (local.get $c00)) (local.set $c21 (local.get $c01))
        (local.set $c30 (local.get $c00)) (local.set $c31 (local.get $c01))
        (local.set $left (local.get $k))
        (loop $all
          (local.set $end (i32.add (local.get $s) (i32.shl (local.get $o) (i32.const 2))))
          (local.set $s0 (v128.load (local.get $end))) (local.set $s1 (v128.load offset=16 (local.get $end)))
          (local.set $z0 (local.set $z1
            (call $raise8! (v128.load8x8_u (i32.add (local.get $z) (local.get $o))))))
          (local.set $o (i32.add (local.get $o) (i32.const 8)))
          (local.set $end
            (i32.add (local.get $a0)
              (i32.shl (call $min_u! (local.get $block) (local.get $left)) (i32.const 2))))
          (loop $pairs
            (local.set $u0 (local.set $u1 (call_ref $pair (local.get $p) (local.get $pair))))
            (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
            (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
              (call $step4x8! (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
                (local.get $u0) (local.get $z0) (local.get $z1) (local.get $s0) (local.get $s1)
                (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))))))))))
            (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
            (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
              (call $step4x8! (i32.add (local.get $a0) (i32.const 4)) (i32.add (local.get $a1) (i32.const 4))
                (i32.add (local.get $a2) (i32.const 4)) (i32.add (local.get $a3) (i32.const 4))
                (local.get $u1) (local.get $z0) (local.get $z1) (local.get $s0) (local.get $s1)
                (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))))))))))
            (local.set $a0 (i32.add (local.get $a0) (i32.const 8)))
            (local.set $a1 (i32.add (local.get $a1) (i32.const 8)))
            (local.set $a2 (i32.add (local.get $a2) (i32.const 8)))
            (local.set $a3 (i32.add (local.get $a3) (i32.const 8)))
            (local.set $p (i32.add (local.get $p) (local.get $both)))
            (br_if $pairs (i32.lt_u (local.get $a0) (local.get $end))))
          (local.set $left (i32.sub (local.get $left) (call $min_u! (local.get $block) (local.get $left))))
          (br_if $all (local.get $left)))
        ;; One row after the other moves up to the first place.
        (local.set $left (call $min_u! (local.get $rest) (i32.const 4)))
        (loop $parts
          (call $finish8! (local.get $pc) (local.get $pr) (local.get $j)
            (local.get $n) (local.get $c00) (local.get $c01) (local.get $lo) (local.get $hi))
          (local.set $c00 (local.get $c10)) (local.set $c01 (local.get $c11))
          (local.set $c10 (local.get $c20)) (local.set $c11 (local.get $c21))
          (local.set $c20 (local.get $c30)) (local.set $c21 (local.get $c31))
          (local.set $pc (i32.add (local.get $pc) (local.get $ldc)))
          (local.set $pr (select (i32.add (local.get $pr) (local.get $ldc)) (i32.const 0) (local.get $r)))
          (br_if $parts (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (local.set $rest (i32.sub (local.get $rest) (i32.const 4)))
        (br $tiles))))

  (@kernel "f32_gemm_x8" (call $f32_gemm_bits! (ref.func $pair_x8!) (i32.const 16)))
  (@kernel "f32_gemm_x4" (call $f32_gemm_bits! (ref.func $pair_x4!) (i32.const 8)))
)

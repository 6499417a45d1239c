;; matmul — C[m,n] = clamp(b[n] + Σk A[m,k]·W[k,n] + R[m,n], lo, hi)
;; Order     acc = b; k ascending: acc = madd(a, w, acc); then + r, one rounding
;; Layout    A rows lda bytes apart · W packed [⌈n/8⌉][k][8], zeros in the last panel · b padded to 8
;;           C, R rows ldc bytes apart; r = 0 means no residual; r = c allowed
;; Writes    exactly C[m0:m1, 0:n]; reads up to 28 bytes past the last row of R
(module
  (func $f32_gemm (export "f32_gemm")
    (param $c i32) (param $a i32) (param $w i32) (param $b i32) (param $r i32)
    (param $lo f32) (param $hi f32) (param $k i32) (param $n i32) (param $lda i32) (param $ldc i32)
    (param $m0 i32) (param $m1 i32)
    (local $vlo v128) (local $vhi v128) (local $last i32)
    (local $i i32) (local $j i32) (local $pw i32) (local $kb i32)
    (local $a0 i32) (local $a1 i32) (local $a2 i32) (local $a3 i32)
    (local $c00 v128) (local $c01 v128) (local $c10 v128) (local $c11 v128)
    (local $c20 v128) (local $c21 v128) (local $c30 v128) (local $c31 v128)
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (local.set $kb (i32.shl (local.get $k) (i32.const 2)))
    (local.set $last (i32.sub (local.get $m1) (i32.const 1)))
    (local.set $i (local.get $m0))
    (block $done
      (loop $tiles
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        ;; Rows past the end repeat the last one; they are not stored.
        (local.set $a0 (i32.add (local.get $a) (i32.mul (local.get $i) (local.get $lda))))
        (local.set $a1
          (i32.add (local.get $a)
            (i32.mul (call $min_u! (i32.add (local.get $i) (i32.const 1)) (local.get $last)) (local.get $lda))))
        (local.set $a2
          (i32.add (local.get $a)
            (i32.mul (call $min_u! (i32.add (local.get $i) (i32.const 2)) (local.get $last)) (local.get $lda))))
        (local.set $a3
          (i32.add (local.get $a)
            (i32.mul (call $min_u! (i32.add (local.get $i) (i32.const 3)) (local.get $last)) (local.get $lda))))
        (local.set $j (i32.const 0))
        (local.set $pw (local.get $w))
        (block $columns_done
          (loop $columns
            (br_if $columns_done (i32.ge_u (local.get $j) (local.get $n)))
            (local.set $c00 (v128.load (i32.add (local.get $b) (i32.shl (local.get $j) (i32.const 2)))))
            (local.set $c01 (v128.load offset=16 (i32.add (local.get $b) (i32.shl (local.get $j) (i32.const 2)))))
            (local.set $c10 (local.get $c00)) (local.set $c11 (local.get $c01))
            (local.set $c20 (local.get $c00)) (local.set $c21 (local.get $c01))
            (local.set $c30 (local.get $c00)) (local.set $c31 (local.get $c01))
            (local.set $c00 (local.set $c01 (local.set $c10 (local.set $c11
            (local.set $c20 (local.set $c21 (local.set $c30 (local.set $c31
              (call $tile4x8! (local.get $a0) (local.get $a1) (local.get $a2) (local.get $a3)
                (local.get $pw) (local.get $kb)
                (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
                (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))))))))))
            (local.set $pw (i32.add (local.get $pw) (i32.shl (local.get $kb) (i32.const 3))))
            (call $store_tile4x8!
              (i32.add (local.get $c)
                (i32.add (i32.mul (local.get $i) (local.get $ldc)) (i32.shl (local.get $j) (i32.const 2))))
              (local.get $ldc)
              (select
                (i32.add (local.get $r)
                  (i32.add (i32.mul (local.get $i) (local.get $ldc)) (i32.shl (local.get $j) (i32.const 2))))
                (i32.const 0) (local.get $r))
              (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
              (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
              (local.get $vlo) (local.get $vhi)
              (i32.sub (local.get $n) (local.get $j)) (i32.sub (local.get $m1) (local.get $i)))
            (local.set $j (i32.add (local.get $j) (i32.const 8)))
            (br $columns)))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br $tiles))))
)

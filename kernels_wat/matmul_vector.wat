;; matmul_vector — C[i,n] = clamp(b[n] + Σk A[i,k]·B[i,k,n] + R[i,n], lo, hi): for each entry i of a batch a row times a
;; matrix that is read where it is, instead of being packed for f32_gemm
;; Order     acc = b; k ascending: acc = madd(a, w, acc); then + r, one rounding
;; Layout    entry i at c + i·bc, a + i·ba, w + i·bw, r + i·br; element (k, n) of B at k·ks + n·ns; rows of A, C, R, b dense;
;;           r = 0 means no residual; r = c allowed
;; Requires  ks = 4 or ns = 4 · ns > 0 · k ≥ 1
;; Writes    exactly the entries m0 ≤ i < m1; reads up to 60 bytes past b, B and R
(module
  ;; c + Σ a[k]·x[k] over the next k in ascending order, `bytes` of a but not more than four, for the four columns x0 … x3.
  (func $dots! (param $x0 i32) (param $x1 i32) (param $x2 i32) (param $x3 i32) (param $a i32) (param $bytes i32)
               (param $c v128) (result v128)
    (local $w0 v128) (local $w1 v128) (local $w2 v128) (local $w3 v128) (local $sum v128)
    (local.set $w0 (local.set $w1 (local.set $w2 (local.set $w3
      (call $transposed!
        (v128.load (local.get $x0)) (v128.load (local.get $x1))
        (v128.load (local.get $x2)) (v128.load (local.get $x3)))))))
    (local.set $sum (call $madd! (v128.load32_splat (local.get $a)) (local.get $w0) (local.get $c)))
    (if (i32.gt_u (local.get $bytes) (i32.const 4))
      (then
        (local.set $sum (call $madd! (v128.load32_splat offset=4 (local.get $a)) (local.get $w1) (local.get $sum)))))
    (if (i32.gt_u (local.get $bytes) (i32.const 8))
      (then
        (local.set $sum (call $madd! (v128.load32_splat offset=8 (local.get $a)) (local.get $w2) (local.get $sum)))))
    (if (i32.gt_u (local.get $bytes) (i32.const 12))
      (then
        (local.set $sum (call $madd! (v128.load32_splat offset=12 (local.get $a)) (local.get $w3) (local.get $sum)))))
    (local.get $sum))

  ;; y = clamp(v + r), the first min(count, 4) lanes if count > 0; r is the address of the residual, or 0.
  (func $store_sum! (param $y i32) (param $r i32) (param $v v128) (param $lo v128) (param $hi v128) (param $count i32)
    (local $u v128)
    (if (i32.gt_s (local.get $count) (i32.const 0))
      (then
        (local.set $u (local.get $v))
        (if (local.get $r) (then (local.set $u (f32x4.add (local.get $u) (v128.load (local.get $r))))))
        (call $store_x32! (local.get $y)
          (call $clamp! (local.get $u) (local.get $lo) (local.get $hi))
          (local.get $count)))))

  (func $f32_batched_gemv (export "f32_batched_gemv")
    (param $c i32) (param $a i32) (param $w i32) (param $b i32) (param $r i32)
    (param $lo f32) (param $hi f32) (param $k i32) (param $n i32) (param $ks i32) (param $ns i32)
    (param $bc i32) (param $ba i32) (param $bw i32) (param $br i32) (param $m0 i32) (param $m1 i32)
    (local $vlo v128) (local $vhi v128) (local $j i32) (local $rest i32) (local $p i32) (local $end i32) (local $last i32)
    (local $pa i32) (local $pw i32) (local $pc i32) (local $pr i32) (local $p0 i32) (local $p1 i32) (local $p2 i32)
    (local $p3 i32) (local $p4 i32) (local $p5 i32) (local $p6 i32) (local $p7 i32) (local $v v128)
    (local $c0 v128) (local $c1 v128) (local $c2 v128) (local $c3 v128)
    (local.set $vlo (f32x4.splat (local.get $lo)))
    (local.set $vhi (f32x4.splat (local.get $hi)))
    (block $done
      (loop $entries
        (br_if $done (i32.ge_u (local.get $m0) (local.get $m1)))
        (local.set $pa (i32.add (local.get $a) (i32.mul (local.get $m0) (local.get $ba))))
        (local.set $pw (i32.add (local.get $w) (i32.mul (local.get $m0) (local.get $bw))))
        (local.set $pc (i32.add (local.get $c) (i32.mul (local.get $m0) (local.get $bc))))
        (local.set $pr
          (select
            (i32.add (local.get $r) (i32.mul (local.get $m0) (local.get $br)))
            (i32.const 0)
            (local.get $r)))
        (local.set $last
          (i32.add (local.get $pw) (i32.mul (local.get $ns) (i32.sub (local.get $n) (i32.const 1)))))
        (local.set $end (i32.add (local.get $pa) (i32.shl (local.get $k) (i32.const 2))))
        (local.set $rest (local.get $n))
        (local.set $j (i32.const 0))
        (block $columns_done
          (loop $columns
            (br_if $columns_done (i32.le_s (local.get $rest) (i32.const 0)))
            (local.set $p (i32.add (local.get $b) (local.get $j)))
            (local.set $c0 (v128.load (local.get $p)))
            (local.set $p (local.get $pa))
            (if (i32.eq (local.get $ns) (i32.const 4))
              (then
                ;; Rows of B are dense: sixteen columns, one k at a time.
                (local.set $c1 (v128.load offset=16 (i32.add (local.get $b) (local.get $j))))
                (local.set $c2 (v128.load offset=32 (i32.add (local.get $b) (local.get $j))))
                (local.set $c3 (v128.load offset=48 (i32.add (local.get $b) (local.get $j))))
                (local.set $p0 (i32.add (local.get $pw) (local.get $j)))
                (loop $ones
                  (local.set $v (v128.load32_splat (local.get $p)))
                  (local.set $c0 (call $madd! (local.get $v) (v128.load (local.get $p0)) (local.get $c0)))
                  (local.set $c1 (call $madd! (local.get $v) (v128.load offset=16 (local.get $p0)) (local.get $c1)))
                  (local.set $c2 (call $madd! (local.get $v) (v128.load offset=32 (local.get $p0)) (local.get $c2)))
                  (local.set $c3 (call $madd! (local.get $v) (v128.load offset=48 (local.get $p0)) (local.get $c3)))
                  (local.set $p0 (i32.add (local.get $p0) (local.get $ks)))
                  (br_if $ones
                    (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 4))) (local.get $end))))
                (local.set $p (i32.add (local.get $pc) (local.get $j)))
                (local.set $p0 (select (i32.add (local.get $pr) (local.get $j)) (i32.const 0) (local.get $pr)))
                (local.set $p1 (select (i32.add (local.get $p0) (i32.const 16)) (i32.const 0) (local.get $pr)))
                (local.set $p2 (select (i32.add (local.get $p0) (i32.const 32)) (i32.const 0) (local.get $pr)))
                (local.set $p3 (select (i32.add (local.get $p0) (i32.const 48)) (i32.const 0) (local.get $pr)))
                (call $store_sum! (local.get $p) (local.get $p0) (local.get $c0)
                  (local.get $vlo) (local.get $vhi) (local.get $rest))
                (call $store_sum! (i32.add (local.get $p) (i32.const 16)) (local.get $p1) (local.get $c1)
                  (local.get $vlo) (local.get $vhi) (i32.sub (local.get $rest) (i32.const 4)))
                (call $store_sum! (i32.add (local.get $p) (i32.const 32)) (local.get $p2) (local.get $c2)
                  (local.get $vlo) (local.get $vhi) (i32.sub (local.get $rest) (i32.const 8)))
                (call $store_sum! (i32.add (local.get $p) (i32.const 48)) (local.get $p3) (local.get $c3)
                  (local.get $vlo) (local.get $vhi) (i32.sub (local.get $rest) (i32.const 12)))
                (local.set $j (i32.add (local.get $j) (i32.const 64)))
                (local.set $rest (i32.sub (local.get $rest) (i32.const 16))))
              (else
                ;; Columns of B are dense: eight of them (past the last one, the last one again), four k at a time.
                (local.set $c1 (v128.load offset=16 (i32.add (local.get $b) (local.get $j))))
                (local.set $p0
                  (i32.add (local.get $pw)
                    (i32.mul (local.get $ns) (i32.shr_u (local.get $j) (i32.const 2)))))
                (local.set $p1 (call $min_u! (i32.add (local.get $p0) (local.get $ns)) (local.get $last)))
                (local.set $p2 (call $min_u! (i32.add (local.get $p1) (local.get $ns)) (local.get $last)))
                (local.set $p3 (call $min_u! (i32.add (local.get $p2) (local.get $ns)) (local.get $last)))
                (local.set $p4 (call $min_u! (i32.add (local.get $p3) (local.get $ns)) (local.get $last)))
                (local.set $p5 (call $min_u! (i32.add (local.get $p4) (local.get $ns)) (local.get $last)))
                (local.set $p6 (call $min_u! (i32.add (local.get $p5) (local.get $ns)) (local.get $last)))
                (local.set $p7 (call $min_u! (i32.add (local.get $p6) (local.get $ns)) (local.get $last)))
                (block $fours_done
                  (loop $fours
                    (br_if $fours_done (i32.ge_u (i32.add (local.get $p) (i32.const 12)) (local.get $end)))
                    (local.set $c0
                      (call $dots! (local.get $p0) (local.get $p1) (local.get $p2) (local.get $p3)
                        (local.get $p) (i32.const 16) (local.get $c0)))
                    (local.set $c1
                      (call $dots! (local.get $p4) (local.get $p5) (local.get $p6) (local.get $p7)
                        (local.get $p) (i32.const 16) (local.get $c1)))
                    (local.set $p (i32.add (local.get $p) (i32.const 16)))
                    (local.set $p0 (i32.add (local.get $p0) (i32.const 16)))
                    (local.set $p1 (i32.add (local.get $p1) (i32.const 16)))
                    (local.set $p2 (i32.add (local.get $p2) (i32.const 16)))
                    (local.set $p3 (i32.add (local.get $p3) (i32.const 16)))
                    (local.set $p4 (i32.add (local.get $p4) (i32.const 16)))
                    (local.set $p5 (i32.add (local.get $p5) (i32.const 16)))
                    (local.set $p6 (i32.add (local.get $p6) (i32.const 16)))
                    (local.set $p7 (i32.add (local.get $p7) (i32.const 16)))
                    (br $fours)))
                (if (i32.lt_u (local.get $p) (local.get $end))
                  (then
                    (local.set $c0
                      (call $dots! (local.get $p0) (local.get $p1) (local.get $p2) (local.get $p3)
                        (local.get $p) (i32.sub (local.get $end) (local.get $p)) (local.get $c0)))
                    (local.set $c1
                      (call $dots! (local.get $p4) (local.get $p5) (local.get $p6) (local.get $p7)
                        (local.get $p) (i32.sub (local.get $end) (local.get $p)) (local.get $c1)))))
                (local.set $p0 (select (i32.add (local.get $pr) (local.get $j)) (i32.const 0) (local.get $pr)))
                (local.set $p1 (select (i32.add (local.get $p0) (i32.const 16)) (i32.const 0) (local.get $pr)))
                (local.set $p (i32.add (local.get $pc) (local.get $j)))
                (call $store_sum! (local.get $p) (local.get $p0) (local.get $c0)
                  (local.get $vlo) (local.get $vhi) (local.get $rest))
                (call $store_sum! (i32.add (local.get $p) (i32.const 16)) (local.get $p1) (local.get $c1)
                  (local.get $vlo) (local.get $vhi) (i32.sub (local.get $rest) (i32.const 4)))
                (local.set $j (i32.add (local.get $j) (i32.const 32)))
                (local.set $rest (i32.sub (local.get $rest) (i32.const 8)))))
            (br $columns)))
        (local.set $m0 (i32.add (local.get $m0) (i32.const 1)))
        (br $entries))))
)

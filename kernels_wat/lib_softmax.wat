;; lib_softmax — softmax and log_softmax over x [outer][n][inner], y likewise
;; Order     the sum is that of reduce_sum: four lanes from +0, lane l adds j = l, l+4, …; then (l0 + l2) + (l1 + l3)
;; Requires  n ≥ 1 · y = x allowed
;; Writes    y[o,0:n,i] for m0 ≤ o·inner + i < m1, first what `keep` says, then the results; reads up to 12 bytes past
;;           x and y
;; The maximum skips NaN and may take +0 for −0 (pmax). NaN still reaches all of its row through the sum; x − (±0) differs
;; for x = ±0 only, then exp is 1, and where two zeros meet ln of the sum is not 0.
(module
  (func $all_lanes! (param $op (ref $binary)) (param $v v128) (result v128)
    (local $u v128)
    (local.set $u
      (call_ref $binary (local.get $v)
        (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $v) (local.get $v))
        (local.get $op)))
    (call_ref $binary (local.get $u)
      (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $u) (local.get $u))
      (local.get $op)))
  (func $larger! (param $a v128) (param $b v128) (result v128) (f32x4.pmax (local.get $a) (local.get $b)))
  (func $sum! (param $a v128) (param $b v128) (result v128) (f32x4.add (local.get $a) (local.get $b)))

  ;; All ones in the first `count` lanes.
  (func $first_lanes! (param $count i32) (result v128)
    (i32x4.gt_s (i32x4.splat (local.get $count)) (v128.const i32x4 0 1 2 3)))

  ;; y = finish(keep(x − m, e), scale(Σ e)). One row at a time where inner = 1, its vectors being neighbours along j
  ;; (`step` 16 bytes, `used` shrinking by `less` = 4); else four neighbouring rows, its vectors being one j each. Full
  ;; vectors go by fours, unless `fours` is 0, the others one by one.
  (func $softmax! (param $fours i32) (param $keep (ref $binary)) (param $scale (ref $unary)) (param $finish (ref $binary))
                  (param $y i32) (param $x i32) (param $n i32) (param $inner i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $o i32) (local $i i32) (local $count i32) (local $quads i32) (local $singles i32)
    (local $step i32) (local $less i32) (local $lanes i32) (local $first i32) (local $k i32) (local $used i32)
    (local $p i32) (local $p1 i32) (local $p2 i32) (local $p3 i32)
    (local $max0 v128) (local $max1 v128) (local $max2 v128) (local $max3 v128)
    (local $x0 v128) (local $x1 v128) (local $x2 v128) (local $x3 v128)
    (local $e0 v128) (local $e1 v128) (local $e2 v128) (local $e3 v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128) (local $scaled v128)
    (local.set $m (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (if (i32.eq (local.get $inner) (i32.const 1))
          (then
            (local.set $count (i32.const 1))
            (local.set $lanes (local.get $n))
            (local.set $less (i32.const 4))
            (local.set $step (i32.const 16))
            (local.set $quads (i32.mul (i32.shr_u (local.get $n) (i32.const 4)) (local.get $fours)))
            (local.set $singles
              (i32.sub
                (i32.shr_u (i32.add (local.get $n) (i32.const 3)) (i32.const 2))
                (i32.shl (local.get $quads) (i32.const 2))))
            (local.set $first (i32.shl (i32.mul (local.get $m) (local.get $n)) (i32.const 2))))
          (else
            (local.set $o (i32.div_u (local.get $m) (local.get $inner)))
            (local.set $i (i32.sub (local.get $m) (i32.mul (local.get $o) (local.get $inner))))
            (local.set $count
              (call $min_u! (i32.const 4)
                (call $min_u!
                  (i32.sub (local.get $inner) (local.get $i))
                  (i32.sub (local.get $m1) (local.get $m)))))
            (local.set $lanes (local.get $count))
            (local.set $less (i32.const 0))
            (local.set $step (i32.shl (local.get $inner) (i32.const 2)))
            (local.set $quads
              (i32.mul (i32.shr_u (local.get $n) (i32.const 2))
                (i32.and (i32.eq (local.get $count) (i32.const 4)) (local.get $fours))))
            (local.set $singles (i32.sub (local.get $n) (i32.shl (local.get $quads) (i32.const 2))))
            (local.set $first
              (i32.shl
                (i32.add (i32.mul (i32.mul (local.get $o) (local.get $n)) (local.get $inner)) (local.get $i))
                (i32.const 2)))))

        (local.set $max0 (f32x4.splat (f32.const -inf)))
        (local.set $max1 (local.get $max0))
        (local.set $max2 (local.get $max0))
        (local.set $max3 (local.get $max0))
        (local.set $p (local.get $first))
        (local.set $used (local.get $lanes))
        (if (local.get $fours)
          (then
            (if (local.tee $k (local.get $quads))
              (then
                (loop $maximum_of_fours
                  (local.set $p1 (i32.add (local.get $p) (local.get $step)))
                  (local.set $p2 (i32.add (local.get $p1) (local.get $step)))
                  (local.set $p3 (i32.add (local.get $p2) (local.get $step)))
                  (local.set $max0 (f32x4.pmax (local.get $max0) (v128.load (i32.add (local.get $x) (local.get $p)))))
                  (local.set $max1 (f32x4.pmax (local.get $max1) (v128.load (i32.add (local.get $x) (local.get $p1)))))
                  (local.set $max2 (f32x4.pmax (local.get $max2) (v128.load (i32.add (local.get $x) (local.get $p2)))))
                  (local.set $max3 (f32x4.pmax (local.get $max3) (v128.load (i32.add (local.get $x) (local.get $p3)))))
                  (local.set $p (i32.add (local.get $p3) (local.get $step)))
                  (br_if $maximum_of_fours (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
                (local.set $used
                  (i32.sub (local.get $used) (i32.shl (i32.mul (local.get $quads) (local.get $less)) (i32.const 2))))))))
        (local.set $max0
          (f32x4.pmax
            (f32x4.pmax (local.get $max0) (local.get $max1))
            (f32x4.pmax (local.get $max2) (local.get $max3))))
        (if (local.tee $k (local.get $singles))
          (then
            (loop $maximum
              (local.set $max0
                (f32x4.pmax (local.get $max0)
                  (v128.bitselect
                    (v128.load (i32.add (local.get $x) (local.get $p)))
                    (f32x4.splat (f32.const -inf))
                    (call $first_lanes! (local.get $used)))))
              (local.set $p (i32.add (local.get $p) (local.get $step)))
              (local.set $used (i32.sub (local.get $used) (local.get $less)))
              (br_if $maximum (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))))
        (if (local.get $less) (then (local.set $max0 (call $all_lanes! (ref.func $larger!) (local.get $max0)))))

        (local.set $s0 (v128.const i32x4 0 0 0 0))
        (local.set $s1 (local.get $s0))
        (local.set $s2 (local.get $s0))
        (local.set $s3 (local.get $s0))
        (local.set $p (local.get $first))
        (local.set $used (local.get $lanes))
        (if (local.get $fours)
          (then
            (if (local.tee $k (local.get $quads))
              (then
                (loop $exponentials_of_fours
                  (local.set $p1 (i32.add (local.get $p) (local.get $step)))
                  (local.set $p2 (i32.add (local.get $p1) (local.get $step)))
                  (local.set $p3 (i32.add (local.get $p2) (local.get $step)))
                  (local.set $x0 (f32x4.sub (v128.load (i32.add (local.get $x) (local.get $p))) (local.get $max0)))
                  (local.set $x1 (f32x4.sub (v128.load (i32.add (local.get $x) (local.get $p1))) (local.get $max0)))
                  (local.set $x2 (f32x4.sub (v128.load (i32.add (local.get $x) (local.get $p2))) (local.get $max0)))
                  (local.set $x3 (f32x4.sub (v128.load (i32.add (local.get $x) (local.get $p3))) (local.get $max0)))
                  (local.set $e0 (call $exp_of_negative! (local.get $x0)))
                  (local.set $e1 (call $exp_of_negative! (local.get $x1)))
                  (local.set $e2 (call $exp_of_negative! (local.get $x2)))
                  (local.set $e3 (call $exp_of_negative! (local.get $x3)))
                  (v128.store (i32.add (local.get $y) (local.get $p))
                    (call_ref $binary (local.get $x0) (local.get $e0) (local.get $keep)))
                  (v128.store (i32.add (local.get $y) (local.get $p1))
                    (call_ref $binary (local.get $x1) (local.get $e1) (local.get $keep)))
                  (v128.store (i32.add (local.get $y) (local.get $p2))
                    (call_ref $binary (local.get $x2) (local.get $e2) (local.get $keep)))
                  (v128.store (i32.add (local.get $y) (local.get $p3))
                    (call_ref $binary (local.get $x3) (local.get $e3) (local.get $keep)))
                  (if (local.get $less)
                    (then
                      (local.set $s0 (f32x4.add (local.get $s0) (local.get $e0)))
                      (local.set $s0 (f32x4.add (local.get $s0) (local.get $e1)))
                      (local.set $s0 (f32x4.add (local.get $s0) (local.get $e2)))
                      (local.set $s0 (f32x4.add (local.get $s0) (local.get $e3))))
                    (else
                      (local.set $s0 (f32x4.add (local.get $s0) (local.get $e0)))
                      (local.set $s1 (f32x4.add (local.get $s1) (local.get $e1)))
                      (local.set $s2 (f32x4.add (local.get $s2) (local.get $e2)))
                      (local.set $s3 (f32x4.add (local.get $s3) (local.get $e3)))))
                  (local.set $p (i32.add (local.get $p3) (local.get $step)))
                  (br_if $exponentials_of_fours (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
                (local.set $used
                  (i32.sub (local.get $used) (i32.shl (i32.mul (local.get $quads) (local.get $less)) (i32.const 2))))))))
        (if (local.tee $k (local.get $singles))
          (then
            (loop $exponentials
              (local.set $x0
                (f32x4.sub (v128.load (i32.add (local.get $x) (local.get $p))) (local.get $max0)))
              (local.set $e0 (call $exp_of_negative! (local.get $x0)))
              (call $store_x32!
                (i32.add (local.get $y) (local.get $p))
                (call_ref $binary (local.get $x0) (local.get $e0) (local.get $keep))
                (local.get $used))
              (local.set $e0
                (f32x4.add (local.get $s0) (v128.and (local.get $e0) (call $first_lanes! (local.get $used)))))
              (if (local.get $less)
                (then (local.set $s0 (local.get $e0)))
                (else
                  ;; The four lane sums take turns; where they end up is one to the final sum.
                  (local.set $s0 (local.get $s1))
                  (local.set $s1 (local.get $s2))
                  (local.set $s2 (local.get $s3))
                  (local.set $s3 (local.get $e0))))
              (local.set $p (i32.add (local.get $p) (local.get $step)))
              (local.set $used (i32.sub (local.get $used) (local.get $less)))
              (br_if $exponentials (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))))
        (if (local.get $less)
          (then (local.set $s0 (call $all_lanes! (ref.func $sum!) (local.get $s0))))
          (else
            (local.set $s0
              (f32x4.add
                (f32x4.add (local.get $s0) (local.get $s2))
                (f32x4.add (local.get $s1) (local.get $s3))))))
        (local.set $scaled (call_ref $unary (local.get $s0) (local.get $scale)))

        (local.set $p (local.get $first))
        (local.set $used (local.get $lanes))
        (if (local.get $fours)
          (then
            (if (local.tee $k (local.get $quads))
              (then
                (loop $results_of_fours
                  (local.set $p1 (i32.add (local.get $p) (local.get $step)))
                  (local.set $p2 (i32.add (local.get $p1) (local.get $step)))
                  (local.set $p3 (i32.add (local.get $p2) (local.get $step)))
                  (v128.store (i32.add (local.get $y) (local.get $p))
                    (call_ref $binary (v128.load (i32.add (local.get $y) (local.get $p)))
                      (local.get $scaled) (local.get $finish)))
                  (v128.store (i32.add (local.get $y) (local.get $p1))
                    (call_ref $binary (v128.load (i32.add (local.get $y) (local.get $p1)))
                      (local.get $scaled) (local.get $finish)))
                  (v128.store (i32.add (local.get $y) (local.get $p2))
                    (call_ref $binary (v128.load (i32.add (local.get $y) (local.get $p2)))
                      (local.get $scaled) (local.get $finish)))
                  (v128.store (i32.add (local.get $y) (local.get $p3))
                    (call_ref $binary (v128.load (i32.add (local.get $y) (local.get $p3)))
                      (local.get $scaled) (local.get $finish)))
                  (local.set $p (i32.add (local.get $p3) (local.get $step)))
                  (br_if $results_of_fours (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
                (local.set $used
                  (i32.sub (local.get $used) (i32.shl (i32.mul (local.get $quads) (local.get $less)) (i32.const 2))))))))
        (if (local.tee $k (local.get $singles))
          (then
            (loop $results
              (call $store_x32! (i32.add (local.get $y) (local.get $p))
                (call_ref $binary (v128.load (i32.add (local.get $y) (local.get $p))) (local.get $scaled)
                  (local.get $finish))
                (local.get $used))
              (local.set $p (i32.add (local.get $p) (local.get $step)))
              (local.set $used (i32.sub (local.get $used) (local.get $less)))
              (br_if $results (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))))
        (local.set $m (i32.add (local.get $m) (local.get $count)))
        (br $rows))))
)

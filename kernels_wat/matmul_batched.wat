;; matmul_batched — C[i] = clamp(b + A[i]·W[i] + R[i], lo, hi) for every entry i of a batch, each as f32_gemm computes it
;; Layout    entry i at c + i·bc, a + i·ba, w + i·bw, r + i·br (0: all entries share it); inside as f32_gemm; b is shared
;; Requires  rows ≥ 1
;; Writes    exactly the rows m0 ≤ i·rows + m < m1 of all entries
(module
  (func $f32_batched_gemm (export "f32_batched_gemm")
    (param $c i32) (param $a i32) (param $w i32) (param $b i32) (param $r i32)
    (param $lo f32) (param $hi f32) (param $rows i32) (param $k i32) (param $n i32) (param $lda i32) (param $ldc i32)
    (param $bc i32) (param $ba i32) (param $bw i32) (param $br i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $i i32) (local $row i32) (local $end i32)
    (local.set $m (local.get $m0))
    (local.set $i (i32.div_u (local.get $m0) (local.get $rows)))
    (local.set $row (i32.sub (local.get $m0) (i32.mul (local.get $i) (local.get $rows))))
    (block $done
      (loop $entries
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $end
          (call $min_u! (local.get $rows)
            (i32.add (local.get $row) (i32.sub (local.get $m1) (local.get $m)))))
        (call $f32_gemm
          (i32.add (local.get $c) (i32.mul (local.get $i) (local.get $bc)))
          (i32.add (local.get $a) (i32.mul (local.get $i) (local.get $ba)))
          (i32.add (local.get $w) (i32.mul (local.get $i) (local.get $bw)))
          (local.get $b)
          (select
            (i32.add (local.get $r) (i32.mul (local.get $i) (local.get $br)))
            (i32.const 0)
            (local.get $r))
          (local.get $lo) (local.get $hi) (local.get $k) (local.get $n) (local.get $lda) (local.get $ldc)
          (local.get $row) (local.get $end))
        (local.set $m (i32.add (local.get $m) (i32.sub (local.get $end) (local.get $row))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $row (i32.const 0))
        (br $entries))))
)

;; gather — Y[o, i] = X[o, index(i)]: rows of `run` bytes, X [outer][d][run], indices [n], Y [outer][n][run]
;; Index     j = indices[i]; j + d if j < 0; then clamped to 0 … d − 1: nothing outside X is read
;; Naming    the prefix is the type of the indices; elements are bytes of a run
;; Requires  d ≥ 1 · run ≥ 1 · y and x do not overlap
;; Writes    the rows m0 ≤ o·n + i < m1; reads nothing else
(module
  (type $index (func (param i32 i32) (result i64)))

  (func $index_i32! (param $indices i32) (param $i i32) (result i64)
    (i64.load32_s (i32.add (local.get $indices) (i32.shl (local.get $i) (i32.const 2)))))
  (func $index_i64! (param $indices i32) (param $i i32) (result i64)
    (i64.load (i32.add (local.get $indices) (i32.shl (local.get $i) (i32.const 3)))))

  ;; indices[i] counted from 0 and clamped to 0 … d − 1.
  (func $index_below! (param $index (ref $index)) (param $indices i32) (param $i i32) (param $d i32) (result i32)
    (local $j i64)
    (local.set $j (call_ref $index (local.get $indices) (local.get $i) (local.get $index)))
    (if (i64.lt_s (local.get $j) (i64.const 0))
      (then (local.set $j (i64.add (local.get $j) (i64.extend_i32_u (local.get $d))))))
    (if (i64.lt_s (local.get $j) (i64.const 0))
      (then (local.set $j (i64.const 0))))
    (if (i64.ge_s (local.get $j) (i64.extend_i32_u (local.get $d)))
      (then (local.set $j (i64.extend_i32_u (i32.sub (local.get $d) (i32.const 1))))))
    (i32.wrap_i64 (local.get $j)))

  (func $gather! (param $index (ref $index))
    (param $y i32) (param $x i32) (param $indices i32) (param $d i32) (param $n i32) (param $run i32)
    (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $o i32) (local $j i32) (local $py i32) (local $px i32)
    (local.set $m (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $o (i32.div_u (local.get $m) (local.get $n)))
        (local.set $j
          (call $index_below! (local.get $index) (local.get $indices)
            (i32.sub (local.get $m) (i32.mul (local.get $o) (local.get $n)))
            (local.get $d)))
        (local.set $py (i32.add (local.get $y) (i32.mul (local.get $m) (local.get $run))))
        (local.set $px
          (i32.add (local.get $x)
            (i32.mul
              (i32.add (i32.mul (local.get $o) (local.get $d)) (local.get $j))
              (local.get $run))))
        (if (i32.eq (local.get $run) (i32.const 4))
          (then (i32.store (local.get $py) (i32.load (local.get $px))))
          (else (memory.copy (local.get $py) (local.get $px) (local.get $run))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $rows))))

  ;; Y[i, e] = B[e, index(i)] for 32-bit elements, rows m0 ≤ i < m1: columns of a matrix B [k][d] that is packed into panels
  ;; for f32_gemm. Element (i, e) of Y at y + i·yi + e·yk.
  (func $gather_panels! (param $index (ref $index))
    (param $y i32) (param $w i32) (param $indices i32) (param $k i32) (param $d i32) (param $yi i32) (param $yk i32)
    (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $j i32) (local $py i32) (local $px i32) (local $rest i32)
    (local.set $m (local.get $m0))
    (block $done
      (br_if $done (i32.eqz (local.get $k)))
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $j
          (call $index_below! (local.get $index) (local.get $indices) (local.get $m) (local.get $d)))
        (local.set $px
          (i32.add (local.get $w)
            (i32.add
              (i32.mul (i32.shl (i32.shr_u (local.get $j) (i32.const 3)) (i32.const 5)) (local.get $k))
              (i32.shl (i32.and (local.get $j) (i32.const 7)) (i32.const 2)))))
        (local.set $py (i32.add (local.get $y) (i32.mul (local.get $m) (local.get $yi))))
        (local.set $rest (local.get $k))
        (loop $elements
          (i32.store (local.get $py) (i32.load (local.get $px)))
          (local.set $px (i32.add (local.get $px) (i32.const 32)))
          (local.set $py (i32.add (local.get $py) (local.get $yk)))
          (br_if $elements (local.tee $rest (i32.sub (local.get $rest) (i32.const 1)))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $rows))))

  (@kernel "i32_gather_panels" (call $gather_panels! (ref.func $index_i32!)))
  (@kernel "i64_gather_panels" (call $gather_panels! (ref.func $index_i64!)))
  (@kernel "i32_gather" (call $gather! (ref.func $index_i32!)))
  (@kernel "i64_gather" (call $gather! (ref.func $index_i64!)))
)

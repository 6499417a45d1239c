;; reduce_sum — y[o,i] = Σj x[o,j,i] over x [outer][n][inner]
;; Order     f32: four lanes from +0, lane l adds j = l, l+4, l+8, … ascending; then (l0 + l2) + (l1 + l3)
;;           integers wrap, so any
;; Writes    outputs m0 ≤ o·inner + i < m1; reads up to 12 bytes past x
(module
  (func $f32_reduce_sum (export "f32_reduce_sum")
    (param $y i32) (param $x i32) (param $n i32) (param $inner i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $p i32) (local $count i32) (local $sum v128)
    (local.set $m (local.get $m0))
    (block $done
      (loop $outputs
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $p
          (call $reduced! (local.get $x) (local.get $m) (local.get $n) (local.get $inner) (i32.const 4)))
        (local.set $count (i32.const 1))
        (if (i32.eq (local.get $inner) (i32.const 1))
          (then
            (if (i32.ge_u (i32.sub (local.get $m1) (local.get $m)) (i32.const 4))
              (then
                (local.set $count (i32.const 4))
                (local.set $sum
                  (call $sum_rows! (ref.func $first!) (local.get $p) (local.get $n) (local.get $sum))))
              (else
                (local.set $sum
                  (f32x4.splat
                    (call $sum_row! (ref.func $first!) (local.get $p) (local.get $n) (local.get $sum)))))))
          (else
            (local.set $count
              (call $neighbours! (local.get $m) (local.get $m1) (local.get $inner) (i32.const 4)))
            (local.set $sum
              (call $sum_columns! (ref.func $first!) (local.get $p) (local.get $n)
                (i32.shl (local.get $inner) (i32.const 2)) (local.get $sum)))))
        (call $store_x32!
          (i32.add (local.get $y) (i32.shl (local.get $m) (i32.const 2))) (local.get $sum) (local.get $count))
        (local.set $m (i32.add (local.get $m) (local.get $count)))
        (br $outputs))))

  (@kernel "i32_reduce_sum" 
    (call $reduce_x32! (ref.func $i32_add_op!) (ref.func $itself!) (ref.func $itself!) (i32.const 0)))
  (@kernel "i64_reduce_sum" (call $reduce_x64! (ref.func $i64_add_op!) (i64.const 0)))
)

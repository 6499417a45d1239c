;; max_pool_bytes — y[n,oh,ow,c] = the largest tap of the window inside x, or the smallest number where there is none
;; Order     any
;; Layout    x [n][ih][iw], y [n][oh][ow] pixels of c bytes, px and py bytes apart; f: 0x80 for uint8, 0 for int8
;; Window    rows oh·sh − pt + kh·dh, columns ow·sw − pl + kw·dw; the taps inside x take part
;; Writes    output rows m0 ≤ n·oh + row < m1; reads up to 15 bytes past x
(module
  (func $x8_maxpool (export "x8_maxpool")
    (param $y i32) (param $x i32) (param $f i32)
    (param $ih i32) (param $iw i32) (param $c i32) (param $oh i32) (param $ow i32)
    (param $kh i32) (param $kw i32) (param $sh i32) (param $sw i32) (param $dh i32) (param $dw i32)
    (param $pt i32) (param $pl i32) (param $px i32) (param $py i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $image i32) (local $top i32) (local $left i32) (local $ky i32) (local $kx i32)
    (local $ny i32) (local $nx i32) (local $out i32) (local $ox i32) (local $j i32) (local $p i32) (local $q i32)
    (local $i i32) (local $k i32) (local $line i32) (local $flip v128) (local $acc v128)
    (local.set $flip (call $flip! (local.get $f)))
    (local.set $line (i32.mul (local.get $iw) (local.get $px)))
    (local.set $out (i32.add (local.get $y) (i32.mul (i32.mul (local.get $m0) (local.get $ow)) (local.get $py))))
    (local.set $m (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $image (i32.div_u (local.get $m) (local.get $oh)))
        (local.set $top
          (i32.sub
            (i32.mul (i32.sub (local.get $m) (i32.mul (local.get $image) (local.get $oh))) (local.get $sh))
            (local.get $pt)))
        (local.set $ky (call $taps_before! (i32.const 0) (local.get $top) (local.get $dh) (local.get $kh)))
        (local.set $ny
          (i32.sub
            (call $taps_before! (local.get $ih) (local.get $top) (local.get $dh) (local.get $kh))
            (local.get $ky)))
        (local.set $ox (i32.const 0))
        (loop $pixels
          (local.set $left (i32.sub (i32.mul (local.get $ox) (local.get $sw)) (local.get $pl)))
          (local.set $kx (call $taps_before! (i32.const 0) (local.get $left) (local.get $dw) (local.get $kw)))
          (local.set $nx
            (i32.sub
              (call $taps_before! (local.get $iw) (local.get $left) (local.get $dw) (local.get $kw))
              (local.get $kx)))
          (local.set $p
            (i32.add (local.get $x)
              (i32.add
                (i32.mul (local.get $line)
                  (i32.add
                    (i32.mul (local.get $image) (local.get $ih))
                    (i32.add (local.get $top) (i32.mul (local.get $ky) (local.get $dh)))))
                (i32.mul (local.get $px) (i32.add (local.get $left) (i32.mul (local.get $kx) (local.get $dw)))))))
          (local.set $j (i32.const 0))
          (loop $channels
            (local.set $acc (i8x16.splat (i32.const 0x80)))
            (local.set $i (i32.const 0))
            (block $window_done
              (br_if $window_done (i32.eqz (local.get $nx)))
              (loop $window_rows
                (br_if $window_done (i32.ge_u (local.get $i) (local.get $ny)))
                (local.set $q
                  (i32.add (i32.add (local.get $p) (local.get $j))
                    (i32.mul (i32.mul (local.get $i) (local.get $dh)) (local.get $line))))
                (local.set $k (local.get $nx))
                (loop $taps
                  (local.set $acc
                    (i8x16.max_s (local.get $acc) (v128.xor (v128.load (local.get $q)) (local.get $flip))))
                  (local.set $q (i32.add (local.get $q) (i32.mul (local.get $dw) (local.get $px))))
                  (br_if $taps (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $window_rows)))
            (call $store_x8! (i32.add (local.get $out) (local.get $j)) (v128.xor (local.get $acc) (local.get $flip))
              (i32.sub (local.get $c) (local.get $j)))
            (br_if $channels
              (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 16))) (local.get $c))))
          (local.set $out (i32.add (local.get $out) (local.get $py)))
          (br_if $pixels
            (i32.lt_u (local.tee $ox (i32.add (local.get $ox) (i32.const 1))) (local.get $ow))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $rows))))
)

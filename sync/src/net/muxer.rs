//! Yamux with few streams that nobody has looked at.
//!
//! libp2p keeps 256 of them for each connection, in which a peer can let 256 KiB each wait, unread: 64 MiB. Guarantees that it
//! is [`NEW_STREAMS`] here; whoever opens more at once has them reset. It never looks into a stream.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::{AsyncRead, AsyncWrite, ready};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::yamux;

/// Streams of one connection that nobody has looked at.
const NEW_STREAMS: usize = 16;

/// libp2p's own, with this configuration.
#[derive(Clone)]
pub(super) struct Yamux(pub(super) yamux::Config);

/// See the module.
pub(super) struct Muxer<C> {
    io: yamux::Muxer<C>,
    new: VecDeque<yamux::Stream>,
    waker: Option<Waker>,
}

impl<C> Muxer<C> {
    fn new(io: yamux::Muxer<C>) -> Self {
        Muxer {
            io,
            new: VecDeque::new(),
            waker: None,
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> StreamMuxer for Muxer<C> {
    type Substream = yamux::Stream;
    type Error = yamux::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        if let Some(stream) = self.new.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        self.waker = Some(cx.waker().clone());
        Pin::new(&mut self.io).poll_inbound(cx)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        Pin::new(&mut self.io).poll_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.io).poll_close(cx)
    }

    /// Drives the connection by asking for streams: so none of them comes into libp2p's longer queue.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        let stream = ready!(Pin::new(&mut self.io).poll_inbound(cx))?;
        if self.new.len() < NEW_STREAMS {
            self.new.push_back(stream);
            self.waker.take().into_iter().for_each(Waker::wake);
        }
        // Others have their turn before there are more.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        ready(self.0.upgrade_inbound(io, info).into_inner().map(Muxer::new))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        ready(self.0.upgrade_outbound(io, info).into_inner().map(Muxer::new))
    }
}

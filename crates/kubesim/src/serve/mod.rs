//! Serving the API over TCP, for `kubectl` and other programs.

mod authentication;
mod connection;
mod kubeconfig;
mod tls;

use std::{io, net::SocketAddr};

use tokio::{net::TcpListener, task::JoinSet};

use self::tls::Tls;
use crate::HttpService;

/// Serves the API to whoever connects to an address.
///
/// It needs a runtime with I/O and time, so that the cluster's time is that of the machine or [scaled](crate::ClusterBuilder::speed).
///
/// ```no_run
/// # async fn example(cluster: kubesim::Cluster) -> std::io::Result<()> {
/// let server = kubesim::Server::https(tokio::net::TcpListener::bind("127.0.0.1:0").await?)?;
/// std::fs::write("kubeconfig.yaml", server.kubeconfig("my-cluster"))?;
/// server.serve(cluster.api().http()).await
/// # }
/// ```
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
}

impl Server {
    /// A server as real clusters have them: HTTPS, with a certificate for the listener's address and `localhost` of an authority
    /// of its own, and for those alone who bear its token. Both are made anew each time, and only
    /// [the kubeconfig file](Server::kubeconfig) tells them: it should be kept from others.
    ///
    /// They are all that is taken from the operating system: the cluster's history does not depend on them.
    ///
    /// # Errors
    /// If the listener has no address, or the keys cannot be made, because the operating system gives no random numbers.
    pub fn https(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let tls = Tls::generate(address.ip())
            .map_err(|error| io::Error::other(format!("cannot make a certificate for {address}: {error}")))?;
        Ok(Self { listener, address, tls: Some(tls) })
    }

    /// A server in plain HTTP without credentials: whoever can connect to the address can do everything.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn http(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { listener, address, tls: None })
    }

    /// Where it is reached, such as `https://127.0.0.1:6443`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// A kubeconfig file that leads here: the cluster, the user and the context, which is the current one, are called `name`.
    pub fn kubeconfig(&self, name: &str) -> String {
        kubeconfig::kubeconfig(name, &self.url(), self.tls.as_ref())
    }

    /// Serves the API until the future is dropped; its connections end with it.
    ///
    /// # Errors
    /// If no more connections can be accepted.
    pub async fn serve(self, service: HttpService) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted?;
                    // In a task of its own from the first byte on: a client that says nothing keeps no other one waiting.
                    let connection = connection::serve(stream, self.tls.clone(), service.clone());
                    connections.spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(error, "a connection broke off");
                        }
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
